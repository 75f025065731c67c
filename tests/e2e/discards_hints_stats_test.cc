// Discards, hints and statistics.
#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

class DiscardsHintsStatsTest : public DaemonTest {
 protected:
  DiscardsHintsStatsTest() {
    Start();
    const v1::Cache cache = CreateStandard();
    oblocks_per_dblock_ = cache.superblock().discard_block_size_sectors() / kBlockSectors;
    dblocks_ = cache.superblock().discard_blocks();
  }
  grpc::Status SetDiscards(const Ranges& ranges, bool discard_dirty = false) {
    v1::SetDiscardsRequest request;
    request.set_cache(kCache);
    request.set_discard_dirty(discard_dirty);
    for (const auto& [begin, end] : ranges) {
      request.add_ranges()->set_begin(begin);
      request.mutable_ranges(request.ranges_size() - 1)->set_end(end);
    }
    *request.mutable_options() = Options();
    Context context;
    v1::SetDiscardsResponse response;
    return metadata().SetDiscards(&context, request, &response);
  }
  grpc::Status ClearDiscards(uint64_t begin, uint64_t end) {
    v1::ClearDiscardsRequest request;
    request.set_cache(kCache);
    request.add_ranges()->set_begin(begin);
    request.mutable_ranges(0)->set_end(end);
    Context context;
    v1::ClearDiscardsResponse response;
    return metadata().ClearDiscards(&context, request, &response);
  }
  Ranges ListDiscards() {
    v1::ListDiscardsRequest request;
    request.set_cache(kCache);
    Context context;
    const auto reader = metadata().ListDiscards(&context, request);
    Ranges ranges;
    for (v1::ListDiscardsResponse page; reader->Read(&page);) {
      for (int i = 0; i < page.begins_size(); ++i) ranges.emplace_back(page.begins(i), page.ends(i));
    }
    EXPECT_THAT(reader->Finish(), Succeeds());
    return ranges;
  }
  grpc::Status BeginHints(const std::string& policy, uint32_t major, uint32_t size) {
    v1::BeginHintsRequest request;
    request.set_cache(kCache);
    request.set_policy_name(policy);
    request.mutable_policy_version()->set_major(major);
    request.set_hint_size_bytes(size);
    Context context;
    v1::BeginHintsResponse response;
    return metadata().BeginHints(&context, request, &response);
  }
  grpc::Status SaveHints(std::initializer_list<std::pair<uint32_t, uint32_t>> hints) {
    v1::SaveHintsRequest request;
    request.set_cache(kCache);
    for (const auto& [cblock, hint] : hints) {
      request.add_cblocks(cblock);
      request.add_hints(hint);
    }
    Context context;
    v1::SaveHintsResponse response;
    return metadata().SaveHints(&context, request, &response);
  }
  Ranges ListHints(const std::string& policy = "", uint32_t major = 0) {
    v1::ListHintsRequest request;
    request.set_cache(kCache);
    request.set_policy_name(policy);
    request.mutable_policy_version()->set_major(major);
    Context context;
    const auto reader = metadata().ListHints(&context, request);
    Ranges hints;
    for (v1::ListHintsResponse page; reader->Read(&page);) {
      for (int i = 0; i < page.cblocks_size(); ++i) hints.emplace_back(page.cblocks(i), page.hints(i));
    }
    EXPECT_THAT(reader->Finish(), Succeeds());
    return hints;
  }

  uint64_t oblocks_per_dblock_ = 0;
  uint64_t dblocks_ = 0;
};

TEST_F(DiscardsHintsStatsTest, DiscardsAreListedAsMaximalRanges) {
  ASSERT_THAT(SetDiscards({{2, 5}, {5, 7}, {9, 10}}), Succeeds());
  EXPECT_EQ(ListDiscards(), (Ranges{{2, 7}, {9, 10}}));
  ASSERT_THAT(ClearDiscards(3, 4), Succeeds());
  EXPECT_EQ(ListDiscards(), (Ranges{{2, 3}, {4, 7}, {9, 10}}));
  EXPECT_EQ(Get().discarded_blocks(), 5u);
  EXPECT_THAT(SetDiscards({{dblocks_ - 1, dblocks_ + 1}}), FailsWith(Reason::kDblockOutOfRange));
  EXPECT_THAT(ClearDiscards(dblocks_, dblocks_ + 1), FailsWith(Reason::kDblockOutOfRange));
  EXPECT_THAT(SetDiscards({{5, 4}}), FailsWith(Reason::kInvalidRequest));
}

TEST_F(DiscardsHintsStatsTest, DiscardsNeverOutliveAWrite) {
  ASSERT_THAT(SetDiscards({{0, 4}}), Succeeds());
  ASSERT_THAT(Insert({{1, oblocks_per_dblock_}}), Succeeds());  // In dblock 1.
  EXPECT_EQ(ListDiscards(), (Ranges{{0, 1}, {2, 4}}));
  ASSERT_THAT(SetDiscards({{1, 2}}), Succeeds());  // The mapping is clean.
  ASSERT_THAT(MarkDirty({1}), Succeeds());
  EXPECT_EQ(ListDiscards(), (Ranges{{0, 1}, {2, 4}}));
  EXPECT_THAT(SetDiscards({{0, 2}}), FailsWith(Reason::kMappingDirty));
  EXPECT_THAT(SetDiscards({{0, 2}}, /*discard_dirty=*/true), Succeeds());
  EXPECT_EQ(ListDiscards(), (Ranges{{0, 4}}));
}

TEST_F(DiscardsHintsStatsTest, HintsBelongToTheirPolicy) {
  ASSERT_THAT(Insert({{1, 10}, {2, 20}}), Succeeds());
  EXPECT_THAT(SaveHints({{1, 5}}), FailsWith(Reason::kNoHints));
  EXPECT_THAT(BeginHints("", 1, 4), FailsWith(Reason::kPolicyInvalid));
  EXPECT_THAT(BeginHints("smq", 2, 3), FailsWith(Reason::kPolicyInvalid));
  ASSERT_THAT(BeginHints("smq", 2, 4), Succeeds());
  ASSERT_THAT(SaveHints({{1, 5}, {2, 6}}), Succeeds());
  EXPECT_THAT(SaveHints({{kCacheBlocks, 5}}), FailsWith(Reason::kCblockOutOfRange));
  EXPECT_EQ(ListHints(), (Ranges{{1, 5}, {2, 6}}));
  EXPECT_EQ(ListHints("smq", 2), (Ranges{{1, 5}, {2, 6}}));
  EXPECT_EQ(ListHints("smq", 3), Ranges{});
  EXPECT_EQ(ListHints("mq", 2), Ranges{});
  // The same policy again changes nothing, another one starts from zeros.
  ASSERT_THAT(BeginHints("smq", 2, 4), Succeeds());
  EXPECT_EQ(ListHints(), (Ranges{{1, 5}, {2, 6}}));
  ASSERT_THAT(BeginHints("mq", 1, 4), Succeeds());
  EXPECT_EQ(ListHints(), (Ranges{{1, 0}, {2, 0}}));
  EXPECT_EQ(Get().superblock().policy_name(), "mq");
}

TEST_F(DiscardsHintsStatsTest, LookupsShowValidHints) {
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  EXPECT_EQ(Lookup({1}).hints_size(), 0);
  ASSERT_THAT(BeginHints("smq", 2, 4), Succeeds());
  ASSERT_THAT(SaveHints({{1, 77}}), Succeeds());
  EXPECT_THAT(Lookup({1}).hints(), testing::ElementsAre(77));
}

TEST_F(DiscardsHintsStatsTest, StatsAreKeptOverAReopen) {
  v1::SetStatsRequest set;
  set.set_cache(kCache);
  set.mutable_stats()->set_read_hits(1);
  set.mutable_stats()->set_read_misses(2);
  set.mutable_stats()->set_write_hits(3);
  set.mutable_stats()->set_write_misses(4294967295u);
  v1::SetStatsResponse response;
  Context first;
  ASSERT_THAT(metadata().SetStats(&first, set, &response), Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  OpenStandard();
  v1::GetStatsRequest get;
  get.set_cache(kCache);
  v1::GetStatsResponse stats;
  Context second;
  ASSERT_THAT(metadata().GetStats(&second, get, &stats), Succeeds());
  EXPECT_EQ(stats.stats().SerializeAsString(), set.stats().SerializeAsString());
  get.set_cache("nobody");
  Context third;
  EXPECT_THAT(metadata().GetStats(&third, get, &stats), FailsWith(Reason::kCacheNotOpen));
}

}  // namespace
}  // namespace dmcached
