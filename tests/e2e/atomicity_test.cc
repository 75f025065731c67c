// All of a request or nothing, wherever the bad item stands and whatever the request is.
#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class AtomicityTest : public DaemonTest {
 protected:
  AtomicityTest() {
    Start();
    CreateStandard();
    EXPECT_THAT(Insert({{10, 1000}, {11, 1100}, {12, 1200}}), Succeeds());
    EXPECT_THAT(MarkDirty({11}), Succeeds());
    EXPECT_THAT(Commit(), Succeeds());
    before_ = Get();
  }
  // Nothing that a caller can see has changed.
  void ExpectUnchanged() {
    const v1::Cache now = Get();
    EXPECT_EQ(now.mapped_blocks(), before_.mapped_blocks());
    EXPECT_EQ(now.dirty_blocks(), before_.dirty_blocks());
    EXPECT_EQ(now.free_blocks(), before_.free_blocks());
    EXPECT_EQ(now.discarded_blocks(), before_.discarded_blocks());
    EXPECT_EQ(now.revision(), before_.revision());
    EXPECT_FALSE(now.uncommitted_changes());
    EXPECT_EQ(List(), (Pairs{{10, 1000}, {11, 1100}, {12, 1200}}));
    EXPECT_EQ(List(true), (Pairs{{11, 1100}}));
  }

  v1::Cache before_;
};

TEST_F(AtomicityTest, ABadItemAnywhereInABigInsertChangesNothing) {
  for (const uint32_t bad : {0u, 700u, 1499u}) {
    Pairs pairs;
    for (uint32_t i = 0; i < 1500; ++i) pairs.emplace_back(100 + i, 5000 + i);
    pairs[bad].second = 1000;  // Mapped already.
    const grpc::Status status = Insert(pairs, /*dirty=*/true);
    EXPECT_THAT(status, FailsWith(Reason::kOblockAlreadyMapped));
    EXPECT_EQ(ErrorInfoOf(status).metadata().at("item"), std::to_string(bad));
    ExpectUnchanged();
  }
}

TEST_F(AtomicityTest, ABadItemInARemovalChangesNothing) {
  EXPECT_THAT(Remove({{10, 1000}, {12, 1200}, {13, 1300}}, true), FailsWith(Reason::kNotMapped));
  EXPECT_THAT(Remove({{10, 1000}, {11, 1100}}), FailsWith(Reason::kMappingDirty));
  ExpectUnchanged();
}

TEST_F(AtomicityTest, ABadItemInMarksAndClearsChangesNothing) {
  EXPECT_THAT(MarkDirty({10, 12, 13}), FailsWith(Reason::kNotMapped));
  EXPECT_THAT(ClearDirty({{11, 1100}, {12, 1201}}), FailsWith(Reason::kNotMapped));
  ExpectUnchanged();
}

TEST_F(AtomicityTest, ABadRangeOfDiscardsChangesNothing) {
  v1::SetDiscardsRequest request;
  request.set_cache(kCache);
  request.add_ranges()->set_end(1);
  request.add_ranges()->set_end(uint64_t{1} << 40);
  *request.mutable_options() = Options();
  Context context;
  v1::SetDiscardsResponse response;
  EXPECT_THAT(metadata().SetDiscards(&context, request, &response), FailsWith(Reason::kDblockOutOfRange));
  ExpectUnchanged();
}

}  // namespace
}  // namespace dmcached
