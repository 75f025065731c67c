// FORMAT.md 8.4 to 8.6: set_discard, load_discards, discard_bitset_resize, and discards that never outlive a write.
#include <gtest/gtest.h>

#include <cerrno>
#include <numeric>

#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

std::vector<uint64_t> Range(uint64_t begin, uint64_t end) {
  std::vector<uint64_t> range(end - begin);
  std::iota(range.begin(), range.end(), begin);
  return range;
}

class SetDiscardTest : public VersionTest {
 protected:
  SetDiscardTest() {  // 16000 dblocks of one cache block each: 250 words, one array block.
    EXPECT_THAT(cache_.Format(version(), 1000, 16000), IsOk());
  }
  ~SetDiscardTest() override { ExpectSound(cache_); }
  void Reopen() {
    ASSERT_THAT(cache_.Commit(), IsOk());
    ASSERT_THAT(cache_.Open(), IsOk());
  }

  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(SetDiscardTest);

TEST_P(SetDiscardTest, RangesAroundTheWordBoundaries) {
  ASSERT_THAT(cache_.SetDiscards({Dblocks(0, 1), Dblocks(63, 65), Dblocks(128, 192), Dblocks(15999, 16000)}), IsOk());
  std::vector<uint64_t> expected = {0, 63, 64};
  for (const uint64_t dblock : Range(128, 192)) expected.push_back(dblock);
  expected.push_back(15999);
  EXPECT_EQ(cache_.LoadDiscards(), expected);
  EXPECT_EQ(cache_->discarded_blocks(), expected.size());
  Reopen();
  EXPECT_EQ(cache_.LoadDiscards(), expected);
  EXPECT_EQ(cache_->discarded_blocks(), expected.size());
  ASSERT_THAT(cache_.ClearDiscards({Dblocks(64, 191)}), IsOk());
  Reopen();
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 63, 191, 15999));
}

TEST_P(SetDiscardTest, OverlapsAndRepeatsCountOnce) {
  ASSERT_THAT(cache_.SetDiscards({Dblocks(10, 20), Dblocks(15, 25), Dblocks(10, 20), Dblocks(7, 7)}), IsOk());
  EXPECT_EQ(cache_->discarded_blocks(), 15u);
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.SetDiscards({Dblocks(11, 19)}), IsOk());
  EXPECT_FALSE(cache_->changed()) << "nothing new";
}

TEST_P(SetDiscardTest, EveryReasonWithTheIndexOfTheBadItem) {
  const absl::Status beyond = cache_.SetDiscards({Dblocks(0, 5), Dblocks(15999, 16001)});
  EXPECT_THAT(beyond, HasReasonIs(Reason::kDblockOutOfRange));
  EXPECT_EQ(ItemOf(beyond), 1u);
  EXPECT_EQ(ItemOf(cache_.ClearDiscards({Dblocks(0, 5), Dblocks(0, 16001)})), 1u);
  EXPECT_THAT(cache_.SetDiscards({Dblocks(5, 4)}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(cache_.SetDiscards(std::vector<DblockRange>(kMaxItemsPerRequest + 1, Dblocks(0, 1))),
              HasReasonIs(Reason::kTooManyItems));
  EXPECT_EQ(cache_->discarded_blocks(), 0u);
  EXPECT_FALSE(cache_->changed());
}

TEST_P(SetDiscardTest, InsertClearsTheCoveringBit) {
  ASSERT_THAT(cache_.SetDiscards({Dblocks(0, 100)}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Insert({1, 2}, {50, 200}), IsOk());
  EXPECT_EQ(cache_->discarded_blocks(), 99u);
  Reopen();
  EXPECT_THAT(cache_.LoadDiscards(), testing::Not(testing::Contains(50)));
}

TEST_P(SetDiscardTest, MarkClearsTheCoveringBitAlsoWhereTheMarkIsThereAlready) {
  ASSERT_THAT(cache_.Insert({1, 2}, {50, 60}, {false, true}), IsOk());
  ASSERT_THAT(cache_.SetDiscards({Dblocks(50, 61)}, /*discard_dirty=*/true), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.MarkDirty({1, 2}), IsOk());
  EXPECT_EQ(cache_->discarded_blocks(), 9u);
  Reopen();
  EXPECT_EQ(cache_.LoadDiscards(), Range(51, 60));
}

TEST_P(SetDiscardTest, DirtyMappingRefusesItUnlessTheCallerSaysSo) {
  ASSERT_THAT(cache_.Insert({1, 2}, {50, 60}, {false, true}), IsOk());
  const absl::Status refused = cache_.SetDiscards({Dblocks(0, 10), Dblocks(40, 61)});
  EXPECT_THAT(refused, HasReasonIs(Reason::kMappingDirty));
  EXPECT_EQ(ItemOf(refused), 1u);
  EXPECT_EQ(cache_->discarded_blocks(), 0u);
  EXPECT_THAT(cache_.SetDiscards({Dblocks(40, 60), Dblocks(61, 16000)}), IsOk());
  EXPECT_THAT(cache_.SetDiscards({Dblocks(60, 61)}), HasReasonIs(Reason::kMappingDirty)) << "by the index";
  EXPECT_THAT(cache_.SetDiscards({Dblocks(60, 61)}, /*discard_dirty=*/true), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
}

TEST_P(SetDiscardTest, RangesMayOverlapRepeatAndComeInAnyOrder) {
  ASSERT_THAT(cache_.Insert({1}, {60}, {true}), IsOk());
  ASSERT_THAT(cache_.SetDiscards({Dblocks(50, 55), Dblocks(10, 20), Dblocks(15, 30), Dblocks(5, 5), Dblocks(16, 18)}),
              IsOk());
  EXPECT_EQ(cache_->discarded_blocks(), 25u);
  const absl::Status refused = cache_.SetDiscards({Dblocks(100, 16000), Dblocks(1, 2), Dblocks(59, 62)});
  EXPECT_THAT(refused, HasReasonIs(Reason::kMappingDirty));
  EXPECT_EQ(ItemOf(refused), 2u);
  ASSERT_THAT(cache_.ClearDiscards({Dblocks(12, 52), Dblocks(51, 52), Dblocks(0, 13)}), IsOk());
  EXPECT_EQ(cache_->discarded_blocks(), 3u);
  ASSERT_THAT(cache_.Commit(), IsOk());
}

TEST_P(SetDiscardTest, DblocksOfSeveralCacheBlocks) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1000, 40000), IsOk());
  ASSERT_EQ(cache->superblock().discard_block_size, Sectors(4 * 64));
  ASSERT_EQ(cache->superblock().discard_blocks, 10000u);
  ASSERT_THAT(cache.Insert({1}, {403}, {true}), IsOk());
  EXPECT_THAT(cache.SetDiscards({Dblocks(99, 101)}), HasReasonIs(Reason::kMappingDirty));
  EXPECT_THAT(cache.SetDiscards({Dblocks(99, 100), Dblocks(101, 102)}), IsOk());
  ASSERT_THAT(cache.Insert({2}, {399}), IsOk());
  EXPECT_THAT(cache.LoadDiscards(), ElementsAre(101));
}

class LoadDiscardsTest : public SetDiscardTest {};
DMCACHED_BOTH_VERSIONS(LoadDiscardsTest);

TEST_P(LoadDiscardsTest, TheLongestRangesInOrderUntilTheVisitorStops) {
  const uint64_t end = cache_->superblock().discard_blocks;
  // A bit alone, a range over the end of a word, one of whole words, and one to the end.
  const std::vector<DblockRange> ranges = {Dblocks(1, 2), Dblocks(60, 70), Dblocks(128, 320), Dblocks(end - 1, end)};
  ASSERT_THAT(cache_.SetDiscards(ranges), IsOk());
  std::vector<std::pair<uint64_t, uint64_t>> seen;
  size_t most = ranges.size() + 1;
  auto visit = [&](const DblockRange& range) {
    seen.emplace_back(range.begin.value(), range.end.value());
    return seen.size() == most ? MakeError(Reason::kLost, "enough") : absl::OkStatus();
  };
  EXPECT_THAT(cache_->LoadDiscards(visit), IsOk());
  EXPECT_THAT(seen,
              ElementsAre(std::pair(1u, 2u), std::pair(60u, 70u), std::pair(128u, 320u), std::pair(end - 1, end)));
  seen.clear();
  most = 2;
  EXPECT_THAT(cache_->LoadDiscards(visit), HasReasonIs(Reason::kLost));
  EXPECT_EQ(seen.size(), 2u);
}

TEST_P(LoadDiscardsTest, BitsPastTheEndMeanNothing) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 10, 100), IsOk());
  PatchArray(cache, ArrayKind::kDiscards, 0, [](std::span<std::byte> block) {
    StoreLe<uint64_t>(WordOf(block, 1), uint64_t{0b101101} << 33);  // 97, 99 and, past the end, 100 and 102.
  });
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_THAT(cache.LoadDiscards(), ElementsAre(97, 99));
  EXPECT_EQ(cache->discarded_blocks(), 2u);
}

class DiscardBitsetResizeTest : public SetDiscardTest {};
DMCACHED_BOTH_VERSIONS(DiscardBitsetResizeTest);

TEST_P(DiscardBitsetResizeTest, NewBitIsSetOnlyIfEveryOldBitUnderItWas) {
  ASSERT_THAT(cache_.SetDiscards({Dblocks(0, 4), Dblocks(5, 8), Dblocks(11, 16)}), IsOk());
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(4 * 64), 4000}), IsOk());
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 3));
  EXPECT_EQ(cache_->discarded_blocks(), 2u);
  EXPECT_EQ(cache_->superblock().discard_block_size, Sectors(256));
  EXPECT_EQ(cache_->superblock().discard_blocks, 4000u);
  Reopen();
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 3));
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(64), 16000}), IsOk());
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 1, 2, 3, 12, 13, 14, 15)) << "finer: what was covered stays";
  Reopen();
  EXPECT_EQ(cache_->discarded_blocks(), 8u);
}

TEST_P(DiscardBitsetResizeTest, SizesThatAreNoMultiplesOfEachOther) {
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(2 * 64), 8000}), IsOk());
  ASSERT_THAT(cache_.SetDiscards({Dblocks(0, 5)}), IsOk());  // Cache blocks 0 to 9.
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(3 * 64), 5334}), IsOk());
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 1, 2));
}

TEST_P(DiscardBitsetResizeTest, GrowsAndShrinksOverArrayBlocks) {
  ASSERT_THAT(cache_.SetDiscards({Dblocks(0, 2), Dblocks(15998, 16000)}), IsOk());
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(64), 70000}), IsOk());  // Three array blocks.
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 1, 15998, 15999)) << "new ones are zero";
  ASSERT_THAT(cache_.SetDiscards({Dblocks(69999, 70000)}), IsOk());
  Reopen();
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0, 1, 15998, 15999, 69999));
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(64), 1}), IsOk());
  Reopen();
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0));
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(64), 64}), IsOk());
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0)) << "no bit past the end came back";
  ASSERT_THAT(cache_.ResizeDiscards({Sectors(0), 0}), IsOk());
  Reopen();
  EXPECT_TRUE(cache_.LoadDiscards().empty());
}

TEST_P(DiscardBitsetResizeTest, BlockSizeMustBeAMultipleOfTheCacheBlockSize) {
  EXPECT_THAT(cache_.ResizeDiscards({Sectors(96), 10}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(cache_.ResizeDiscards({Sectors(0), 10}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_EQ(cache_->superblock().discard_blocks, 16000u);
}

TEST_P(DiscardBitsetResizeTest, OriginThatGrowsRebuildsIt) {
  ASSERT_THAT(cache_.SetDiscards({Dblocks(0, 2), Dblocks(4, 5)}), IsOk());
  ASSERT_THAT(cache_.Resize(std::nullopt, Sectors(30000 * 64)), IsOk());
  EXPECT_EQ(cache_->superblock().discard_block_size, Sectors(128));
  EXPECT_EQ(cache_->superblock().discard_blocks, 15000u);
  EXPECT_THAT(cache_.LoadDiscards(), ElementsAre(0));
  ASSERT_THAT(cache_.Commit(), IsOk());
}

}  // namespace
}  // namespace dmcached
