// Insert, remove, mark, clear and look up: success and every reason.
#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

class MappingsTest : public DaemonTest {
 protected:
  MappingsTest() {
    Start();
    CreateStandard();
  }
};

TEST_F(MappingsTest, InsertMarkClearRemoveAreSeenByLookups) {
  ASSERT_THAT(Insert({{1, 100}, {2, 200}}), Succeeds());
  ASSERT_THAT(MarkDirty({2}), Succeeds());
  v1::LookupMappingsResponse found = Lookup({2, 3, 1});
  EXPECT_THAT(found.mapped(), ElementsAre(true, false, true));
  EXPECT_THAT(found.cblocks(), ElementsAre(2, 3, 1));
  EXPECT_THAT(found.oblocks(), ElementsAre(200, 0, 100));
  EXPECT_THAT(found.dirty(), ElementsAre(true, false, false));
  EXPECT_EQ(found.incarnation(), Get().incarnation());

  v1::LookupMappingsRequest request;
  request.set_cache(kCache);
  request.add_oblocks(200);
  request.add_oblocks(300);
  request.set_durable(true);
  Context context;
  ASSERT_THAT(metadata().LookupMappings(&context, request, &found), Succeeds());
  EXPECT_THAT(found.mapped(), ElementsAre(true, false));
  EXPECT_EQ(found.cblocks(0), 2u);
  EXPECT_EQ(found.oblocks(1), 300u);

  ASSERT_THAT(ClearDirty({{2, 200}}), Succeeds());
  EXPECT_EQ(Get().dirty_blocks(), 0u);
  ASSERT_THAT(Remove({{2, 200}}), Succeeds());
  EXPECT_EQ(List(), (Pairs{{1, 100}}));
  // The cblock is free again: the removal was answered when durable.
  EXPECT_THAT(Insert({{2, 201}}), Succeeds());
}

TEST_F(MappingsTest, InsertRefusesAndNamesTheItem) {
  ASSERT_THAT(Insert({{1, 100}}), Succeeds());
  const auto refuse = [&](const Pairs& pairs, Reason reason, const std::string& item) {
    const grpc::Status status = Insert(pairs);
    EXPECT_THAT(status, FailsWith(reason));
    EXPECT_EQ(ErrorInfoOf(status).metadata().at("item"), item) << status.error_message();
  };
  refuse({{2, 200}, {1, 300}}, Reason::kCblockInUse, "1");
  refuse({{2, 100}}, Reason::kOblockAlreadyMapped, "0");
  refuse({{2, 200}, {kCacheBlocks, 300}}, Reason::kCblockOutOfRange, "1");
  refuse({{2, kOriginBlocks}}, Reason::kOblockOutOfRange, "0");
  refuse({{2, 200}, {2, 201}}, Reason::kInvalidRequest, "1");
  refuse({{2, 200}, {3, 200}}, Reason::kInvalidRequest, "1");
  EXPECT_EQ(List(), (Pairs{{1, 100}}));
}

TEST_F(MappingsTest, RemoveRefusesAndNamesTheItem) {
  ASSERT_THAT(Insert({{1, 100}, {2, 200}}), Succeeds());
  ASSERT_THAT(MarkDirty({2}), Succeeds());
  EXPECT_THAT(Remove({{1, 100}, {3, 300}}), FailsWith(Reason::kNotMapped));
  EXPECT_THAT(Remove({{1, 101}}), FailsWith(Reason::kNotMapped));
  EXPECT_THAT(Remove({{kCacheBlocks, 1}}), FailsWith(Reason::kCblockOutOfRange));
  EXPECT_THAT(Remove({{1, 100}, {1, 100}}), FailsWith(Reason::kInvalidRequest));
  EXPECT_THAT(Remove({{1, 100}, {2, 200}}), FailsWith(Reason::kMappingDirty));
  EXPECT_EQ(List().size(), 2u);
  EXPECT_THAT(Remove({{1, 100}, {2, 200}}, /*discard_dirty=*/true), Succeeds());
  EXPECT_EQ(List().size(), 0u);
}

TEST_F(MappingsTest, RemoveByRangeTakesWhatIsThere) {
  ASSERT_THAT(Insert({{1, 100}, {2, 150}, {3, 200}}), Succeeds());
  v1::RemoveMappingsRequest request;
  request.set_cache(kCache);
  request.mutable_oblock_range()->set_begin(100);
  request.mutable_oblock_range()->set_end(200);
  *request.mutable_options() = Options();
  Context context;
  v1::RemoveMappingsResponse response;
  ASSERT_THAT(metadata().RemoveMappings(&context, request, &response), Succeeds());
  EXPECT_EQ(response.removed_count(), 2u);
  EXPECT_EQ(List(), (Pairs{{3, 200}}));
}

TEST_F(MappingsTest, MarksAndClearsRefuseWhatIsNotMapped) {
  ASSERT_THAT(Insert({{1, 100}}), Succeeds());
  EXPECT_THAT(MarkDirty({1, 2}), FailsWith(Reason::kNotMapped));
  EXPECT_EQ(Get().dirty_blocks(), 0u);
  EXPECT_THAT(MarkDirty({kCacheBlocks}), FailsWith(Reason::kCblockOutOfRange));
  EXPECT_THAT(MarkDirty({1, 1}), Succeeds());  // The same item twice is fine.
  EXPECT_THAT(MarkDirty({1}), Succeeds());     // And so is what is already so.
  EXPECT_THAT(ClearDirty({{1, 101}}), FailsWith(Reason::kNotMapped));
  EXPECT_EQ(Get().dirty_blocks(), 1u);
  EXPECT_THAT(ClearDirty({{1, 100}, {1, 100}}), Succeeds());
  EXPECT_EQ(Get().dirty_blocks(), 0u);
}

TEST_F(MappingsTest, LookupsOutOfRangeNameTheItem) {
  v1::LookupMappingsRequest request;
  request.set_cache(kCache);
  request.add_cblocks(1);
  request.add_cblocks(kCacheBlocks);
  v1::LookupMappingsResponse response;
  Context first;
  const grpc::Status status = metadata().LookupMappings(&first, request, &response);
  EXPECT_THAT(status, FailsWith(Reason::kCblockOutOfRange));
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("item"), "1");
  request.clear_cblocks();
  request.add_oblocks(kOriginBlocks);
  Context second;
  EXPECT_THAT(metadata().LookupMappings(&second, request, &response), FailsWith(Reason::kOblockOutOfRange));
  request.add_cblocks(1);
  Context third;
  EXPECT_THAT(metadata().LookupMappings(&third, request, &response), FailsWith(Reason::kInvalidRequest));
}

TEST_F(MappingsTest, WhenDurableRowsAreAnsweredDurable) {
  v1::InsertMappingsResponse inserted;
  Context first;
  ASSERT_THAT(metadata().InsertMappings(&first, InsertRequest({{1, 100}}, /*dirty=*/true), &inserted), Succeeds());
  EXPECT_GE(inserted.result().durable_transaction(), inserted.result().transaction());

  v1::InsertMappingsRequest durable = InsertRequest({{2, 200}});
  durable.mutable_options()->set_durable(true);
  Context second;
  ASSERT_THAT(metadata().InsertMappings(&second, durable, &inserted), Succeeds());
  EXPECT_GE(inserted.result().durable_transaction(), inserted.result().transaction());

  v1::MarkDirtyRequest mark;
  mark.set_cache(kCache);
  mark.add_cblocks(2);
  v1::MarkDirtyResponse marked;
  Context third;
  ASSERT_THAT(metadata().MarkDirty(&third, mark, &marked), Succeeds());
  EXPECT_GE(marked.result().durable_transaction(), marked.result().transaction());
}

TEST_F(MappingsTest, CommitMakesEverythingAcceptedDurable) {
  ASSERT_THAT(Insert({{1, 100}}), Succeeds());
  v1::CommitRequest request;
  request.set_cache(kCache);
  v1::CommitResponse response;
  Context context;
  ASSERT_THAT(metadata().Commit(&context, request, &response), Succeeds());
  EXPECT_FALSE(Get().uncommitted_changes());
  EXPECT_EQ(response.result().durable_transaction(), Get().durable_transaction());
}

}  // namespace
}  // namespace dmcached
