// FORMAT.md 8.8, 8.11, 8.12, 8.14: statistics, commit, changed_this_transaction, and the counts.
#include "core/cache/cache_metadata.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

class CacheMetadataTest : public VersionTest {
 protected:
  CacheMetadataTest() { EXPECT_THAT(cache_.Format(version(), 1000, 5000), IsOk()); }

  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(CacheMetadataTest);

TEST_P(CacheMetadataTest, SetStatsAndGetStatsOverAReopen) {
  const Stats stats = {.read_hits = 1, .read_misses = 2, .write_hits = 3, .write_misses = 0xFFFFFFFF};
  ASSERT_THAT(cache_->SetStats({stats}), IsOk());
  EXPECT_EQ(cache_->stats(), stats);
  EXPECT_EQ(cache_.OnMedium().read_hits, 0u) << "written by the next commit";
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_->stats(), stats);
}

TEST_P(CacheMetadataTest, StatsAloneAreCommittedByBlockZeroAlone) {
  ASSERT_THAT(cache_->SetStats({{1, 2, 3, 4}}), IsOk());
  const uint64_t writes = cache_.device().writes();
  const uint64_t flushes = cache_.device().flushes();
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_.device().writes(), writes + 1);
  EXPECT_EQ(cache_.device().flushes(), flushes + 2);
}

TEST_P(CacheMetadataTest, ChangedThisTransactionAfterEachKindOfChange) {
  auto expect_changed = [&](const char* what) {
    EXPECT_TRUE(cache_->changed()) << what;
    ASSERT_THAT(cache_.Commit(), IsOk()) << what;
    EXPECT_FALSE(cache_->changed()) << what;
  };
  EXPECT_FALSE(cache_->changed());
  ASSERT_THAT(cache_.Insert({1}, {1}), IsOk());
  expect_changed("insert");
  ASSERT_THAT(cache_.MarkDirty({1}), IsOk());
  expect_changed("mark");
  ASSERT_THAT(cache_.ClearDirty({1}, {1}), IsOk());
  expect_changed("clear");
  ASSERT_THAT(cache_.SetDiscards({Dblocks(7, 8)}), IsOk());
  expect_changed("discard");
  ASSERT_THAT(cache_.ClearDiscards({Dblocks(7, 8)}), IsOk());
  expect_changed("clear discard");
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  expect_changed("begin hints");
  ASSERT_THAT(cache_.SaveHints({1}, {5}), IsOk());
  expect_changed("save hints");
  ASSERT_THAT(cache_->SetStats({{1, 1, 1, 1}}), IsOk());
  expect_changed("stats");
  ASSERT_THAT(cache_.Remove({1}, {1}), IsOk());
  expect_changed("remove");
  ASSERT_THAT(cache_.Resize(900), IsOk());
  expect_changed("resize");
  ASSERT_THAT(cache_.ResizeDiscards({kBlockSize, 10}), IsOk());
  expect_changed("discard bitset resize");
  ASSERT_THAT(cache_.Insert({1}, {9999999}).ok(), false);
  EXPECT_FALSE(cache_->changed()) << "a refused request";
  ExpectSound(cache_);
}

TEST_P(CacheMetadataTest, TwoChangesOfOneBlockInOneTransactionAreBothThere) {
  ASSERT_THAT(cache_.Insert({1}, {1}), IsOk());
  ASSERT_THAT(cache_.Insert({2}, {2}), IsOk());
  EXPECT_TRUE(cache_->changed());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ExpectSound(cache_);
}

TEST_P(CacheMetadataTest, CommitWithAndWithoutCleanShutdown) {
  EXPECT_TRUE(cache_.OnMedium().clean_shutdown) << "exact: every commit is clean";
  ASSERT_THAT(cache_.Commit(false), IsOk());
  EXPECT_TRUE(cache_.OnMedium().clean_shutdown);
  ASSERT_THAT(cache_.Open(Conservative()), IsOk());
  ASSERT_THAT(cache_.Commit(false), IsOk());
  EXPECT_FALSE(cache_.OnMedium().clean_shutdown);
  ASSERT_THAT(cache_.Commit(true), IsOk());
  EXPECT_TRUE(cache_.OnMedium().clean_shutdown);
  ASSERT_THAT(cache_.Commit(false), IsOk());
  EXPECT_FALSE(cache_.OnMedium().clean_shutdown);
}

TEST_P(CacheMetadataTest, CommitNumbersItsTransactions) {
  const uint64_t durable = cache_->durable_transaction();
  EXPECT_EQ(cache_->transaction(), durable + 1);
  auto batch = cache_->Prepare(false);
  ASSERT_THAT(batch, IsOk());
  EXPECT_EQ((*batch)->transaction(), durable + 1);
  EXPECT_EQ(cache_->transaction(), durable + 2);
  EXPECT_EQ(cache_->durable_transaction(), durable);
  EXPECT_TRUE(cache_->commit_in_flight());
  const std::atomic<bool> stop = false;
  ASSERT_THAT((*batch)->Write(cache_.device(), stop), IsOk());
  cache_->Finish(*std::move(batch));
  EXPECT_EQ(cache_->durable_transaction(), durable + 1);
  EXPECT_FALSE(cache_->commit_in_flight());
}

TEST_P(CacheMetadataTest, ChangesWhileACommitIsInFlightBelongToTheNextOne) {
  ASSERT_THAT(cache_.Insert({1}, {1}), IsOk());
  auto batch = cache_->Prepare(false);
  ASSERT_THAT(batch, IsOk());
  ASSERT_THAT(cache_.Insert({2}, {2}), IsOk());
  ASSERT_THAT(cache_.MarkDirty({1}), IsOk());
  const std::atomic<bool> stop = false;
  ASSERT_THAT((*batch)->Write(cache_.device(), stop), IsOk());
  TestCache durable(cache_.device().CrashImage(0));
  ASSERT_THAT(durable.Open(), IsOk());
  EXPECT_EQ(durable.Load(), (Mappings{{1, {1, false}}}));
  cache_->Finish(*std::move(batch));
  EXPECT_TRUE(cache_->changed());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ExpectSound(cache_);
  EXPECT_EQ(cache_.Load(), (Mappings{{1, {1, true}}, {2, {2, false}}}));
}

TEST_P(CacheMetadataTest, CacheSizeFreeMetadataBlocksAndMetadataDeviceSize) {
  EXPECT_EQ(cache_->cache_blocks(), 1000u);
  EXPECT_EQ(cache_->metadata_blocks(), 256u);
  const uint64_t free = cache_->free_metadata_blocks();
  EXPECT_EQ(free, 256 - LiveMetadataBlocks(version(), 1000, 5000, false, 256));
  ASSERT_THAT(cache_.Insert({1}, {1}), IsOk());
  EXPECT_EQ(cache_->free_metadata_blocks(), free) << "a copy takes one and frees one ...";
  EXPECT_EQ(cache_->held_metadata_blocks(), 1u) << "... which the durable state still holds";
  ASSERT_THAT(cache_.Resize(509 * 5), IsOk());
  EXPECT_LT(cache_->free_metadata_blocks(), free);
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_->held_metadata_blocks(), 0u);
  EXPECT_EQ(cache_->free_metadata_blocks(), 256 - LiveMetadataBlocks(version(), 509 * 5, 5000, false, 256));
}

TEST_P(CacheMetadataTest, ApplyTakesEveryKindOfMutation) {
  const std::vector<uint32_t> cblocks = {4};
  const std::vector<uint64_t> oblocks = {40};
  const std::vector<uint32_t> hints = {9};
  const std::vector<DblockRange> ranges = {Dblocks(3, 4)};
  InsertMappings insert;
  insert.cblocks = cblocks;
  insert.oblocks = oblocks;
  RemoveMappings remove;
  remove.cblocks = cblocks;
  remove.oblocks = oblocks;
  const Mutation mutations[] = {insert,
                                MarkDirty{cblocks},
                                ClearDirty{cblocks, oblocks},
                                SetDiscards{ranges, false},
                                ClearDiscards{ranges},
                                BeginHints{"smq", {}, 4},
                                SaveHints{cblocks, hints},
                                SetStats{{1, 2, 3, 4}},
                                Resize{900, std::nullopt}};
  for (const Mutation& mutation : mutations) {
    const auto result = cache_.Run([&](BlockSet& set) { return cache_->Apply(mutation, set); });
    ASSERT_THAT(result, IsOk()) << mutation.index();
    EXPECT_EQ(*result, 0u);
  }
  const auto removed = cache_.Run([&](BlockSet& set) { return cache_->Apply(Mutation(remove), set); });
  ASSERT_THAT(removed, IsOk());
  EXPECT_EQ(*removed, 1u);
  for (const MutationOp op : {MutationOp::kInsert, MutationOp::kRemove, MutationOp::kMarkDirty, MutationOp::kClearDirty,
                              MutationOp::kSetDiscard, MutationOp::kClearDiscard, MutationOp::kSaveHint}) {
    EXPECT_EQ(cache_.counters().mutations[static_cast<size_t>(op)].load(), 1u) << static_cast<int>(op);
  }
  ASSERT_THAT(cache_.Commit(), IsOk());
  ExpectSound(cache_);
}

TEST_P(CacheMetadataTest, DescribeAndGaugesAgree) {
  ASSERT_THAT(cache_.Insert({1, 2}, {1, 2}, {true, false}), IsOk());
  CacheInfo info;
  cache_->Describe(info);
  cache_->UpdateGauges();
  const CacheCounters& gauges = cache_.counters();
  EXPECT_EQ(info.mapped_blocks, 2u);
  EXPECT_EQ(gauges.mapped_blocks, 2u);
  EXPECT_EQ(info.dirty_blocks, 1u);
  EXPECT_EQ(gauges.dirty_blocks, 1u);
  EXPECT_EQ(info.free_blocks, 998u);
  EXPECT_TRUE(info.uncommitted_changes);
  EXPECT_EQ(gauges.cache_size_bytes, 1000u * 64 * 512);
  EXPECT_EQ(gauges.origin_size_bytes, 5000u * 64 * 512);
  EXPECT_EQ(gauges.metadata_size_bytes, 256u * 4096);
  EXPECT_EQ(gauges.metadata_free_bytes, info.free_metadata_blocks * 4096);
  EXPECT_TRUE(info.superblock.clean_shutdown) << "the bit on the medium";
}

TEST_P(CacheMetadataTest, MemoryPressureBeginsAtHalfTheBudgetAndEndsWithTheCommit) {
  TestCache cache;
  FormatParams params = Params(version(), 509 * 20);
  params.block_cache_bytes = 16 * kMetadataBlockBytes;
  ASSERT_THAT(cache.Format(params), IsOk());
  for (uint32_t block = 0; block < 9; ++block) {
    EXPECT_FALSE(cache->under_memory_pressure()) << block;
    ASSERT_THAT(cache.Insert({block * 509}, {block}), IsOk());
  }
  EXPECT_TRUE(cache->under_memory_pressure());
  EXPECT_FALSE(cache->memory_exhausted());
  auto batch = cache->Prepare(false);
  ASSERT_THAT(batch, IsOk());
  EXPECT_FALSE(cache->under_memory_pressure());
  for (uint32_t block = 0; block < 9; ++block) ASSERT_THAT(cache.Insert({block * 509 + 1}, {100 + block}), IsOk());
  EXPECT_TRUE(cache->memory_exhausted());
  const std::atomic<bool> stop = false;
  ASSERT_THAT((*batch)->Write(cache.device(), stop), IsOk());
  cache->Finish(*std::move(batch));
  EXPECT_FALSE(cache->memory_exhausted());
}

}  // namespace
}  // namespace dmcached
