#include "core/cache/geometry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/fixtures.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr uint64_t kGiB = uint64_t{1} << 21;  // In sectors.

TEST(DataBlockSizeTest, MultiplesOf32KiBUpTo1GiB) {
  for (const uint64_t sectors : {64, 128, 192, 2097152}) EXPECT_THAT(CheckDataBlockSize(Sectors(sectors)), IsOk());
  for (const uint64_t sectors : {0, 32, 63, 65, 100, 2097153, 2097216}) {
    EXPECT_THAT(CheckDataBlockSize(Sectors(sectors)), HasReasonIs(Reason::kInvalidRequest)) << sectors;
  }
}

TEST(DiscardGeometryTest, AtMost16384BlocksCoverTheOrigin) {
  const Sectors block(128);
  EXPECT_EQ(ChooseDiscardGeometry(Sectors(1), block), (DiscardGeometry{block, 1}));
  EXPECT_EQ(ChooseDiscardGeometry(Sectors(128 * 16384), block), (DiscardGeometry{block, 16384}));
  EXPECT_EQ(ChooseDiscardGeometry(Sectors(128 * 16384 + 1), block), (DiscardGeometry{Sectors(256), 8193}));
  EXPECT_EQ(ChooseDiscardGeometry(Sectors(64 * kGiB), block), (DiscardGeometry{Sectors(8192), 16384}));
}

TEST(DiscardGeometryTest, UnknownOriginHasNoDiscards) {
  EXPECT_EQ(ChooseDiscardGeometry(Sectors(0), Sectors(128)), DiscardGeometry{});
}

TEST(DiscardGeometryTest, LargestOriginStillEnds) {
  const DiscardGeometry geometry = ChooseDiscardGeometry(Sectors(~uint64_t{0}), Sectors(2097152));
  EXPECT_LE(geometry.blocks, kMaxDiscardBlocks);
  EXPECT_GT(geometry.blocks, kMaxDiscardBlocks / 2);
}

TEST(DiscardGeometryTest, KernelChoosesTheSame) {
  for (const std::string& name : FixtureNames()) {
    const nlohmann::json fixture = FixtureJson(name);
    const nlohmann::json& superblock = fixture.at("superblock");
    if (superblock.at("discard_nr_blocks") == 0) continue;  // No clean shutdown yet.
    const DiscardGeometry geometry =
        ChooseDiscardGeometry(Sectors(fixture.at("origin_sectors")), Sectors(superblock.at("data_block_size")));
    EXPECT_EQ(geometry.block_size.value(), superblock.at("discard_block_size")) << name;
    EXPECT_EQ(geometry.blocks, superblock.at("discard_nr_blocks")) << name;
  }
}

// Superblock, index block, overflow leaf and one bitmap; each array has at least its leaf.
TEST(LiveMetadataBlocksTest, EmptyCacheHasEmptyLeaves) {
  EXPECT_EQ(LiveMetadataBlocks(1, 0, 0, false, 1024), 4 + 2u);
  EXPECT_EQ(LiveMetadataBlocks(2, 0, 0, false, 1024), 4 + 3u);
  EXPECT_EQ(LiveMetadataBlocks(2, 0, 0, true, 1024), 4 + 4u);
}

TEST(LiveMetadataBlocksTest, BlocksOfEachArrayAreCountedAtTheirBoundaries) {
  // Version 1 without hints and discards: only the mapping array changes.
  const auto mapping_blocks = [](uint64_t cache_blocks) {
    return LiveMetadataBlocks(1, cache_blocks, 0, false, 1024) - 5;
  };
  EXPECT_EQ(mapping_blocks(1), 1 + 1u);
  EXPECT_EQ(mapping_blocks(509), 1 + 1u);
  EXPECT_EQ(mapping_blocks(510), 2 + 1u);
  EXPECT_EQ(mapping_blocks(509 * 252), 252 + 1u);
  EXPECT_EQ(mapping_blocks(509 * 252 + 1), 253 + 2 + 1u);                // Two leaves and a root.
  EXPECT_EQ(mapping_blocks(509 * 252 * 252 + 1), 63505 + 253 + 2 + 1u);  // Three levels.

  const auto hint_blocks = [](uint64_t cache_blocks) {
    return LiveMetadataBlocks(1, cache_blocks, 0, true, 1024) - LiveMetadataBlocks(1, cache_blocks, 0, false, 1024);
  };
  EXPECT_EQ(hint_blocks(1018), 1 + 1u);
  EXPECT_EQ(hint_blocks(1019), 2 + 1u);

  const auto discard_blocks = [](uint64_t dblocks) { return LiveMetadataBlocks(1, 0, dblocks, false, 1024) - 5; };
  EXPECT_EQ(discard_blocks(509 * 64), 1 + 1u);
  EXPECT_EQ(discard_blocks(509 * 64 + 1), 2 + 1u);
}

TEST(LiveMetadataBlocksTest, BitmapsFollowTheDevice) {
  const auto bitmaps = [](uint64_t metadata_blocks) { return LiveMetadataBlocks(1, 0, 0, false, metadata_blocks) - 5; };
  EXPECT_EQ(bitmaps(16320), 1u);
  EXPECT_EQ(bitmaps(16321), 2u);
  EXPECT_EQ(bitmaps(255 * 16320), 255u);
  EXPECT_EQ(bitmaps(uint64_t{1} << 40), 255u);
}

TEST(LiveMetadataBlocksTest, CleanKernelImagesWithOneLeafUseAsMany) {
  const nlohmann::json fixture = FixtureJson("v2-clean");
  const nlohmann::json& superblock = fixture.at("superblock");
  EXPECT_EQ(LiveMetadataBlocks(2, superblock.at("cache_blocks"), superblock.at("discard_nr_blocks"), true,
                               superblock.at("sm_nr_blocks")),
            superblock.at("sm_nr_allocated"));
}

TEST(PlanTest, DefaultBlockSizeKeepsTheCacheBelowAMillionBlocks) {
  const auto small = PlanCache(Sectors(100 * kGiB), Sectors(10 * kGiB), Sectors(0), 0);
  ASSERT_THAT(small, IsOk());
  EXPECT_EQ(small->data_block_size, Sectors(64));
  EXPECT_EQ(small->cache_blocks, 327680u);

  const auto large = PlanCache(Sectors(16384 * kGiB), Sectors(1024 * kGiB), Sectors(0), 0);
  ASSERT_THAT(large, IsOk());
  EXPECT_EQ(large->data_block_size, Sectors(4096));
  EXPECT_EQ(large->cache_blocks, 524288u);
  EXPECT_THAT(large->warnings, IsEmpty());
}

TEST(PlanTest, SizesFollowFromGeometry) {
  constexpr uint64_t kBlockCache = 64 << 20;
  const auto plan = PlanCache(Sectors(100 * kGiB + 1), Sectors(10 * kGiB), Sectors(128), kBlockCache);
  ASSERT_THAT(plan, IsOk());
  EXPECT_EQ(plan->cache_blocks, 163840u);
  EXPECT_EQ(plan->origin_blocks, 1638400u) << "whole blocks only, as a cache takes them";
  EXPECT_EQ(plan->discards, ChooseDiscardGeometry(Sectors(100 * kGiB + 1), Sectors(128)));
  const uint64_t live = LiveMetadataBlocks(2, 163840, plan->discards.blocks, true, 1024);
  EXPECT_EQ(plan->recommended_metadata_bytes, 4 * live * 4096);
  EXPECT_EQ(plan->metadata_bytes, 2 * live * 4096);
  EXPECT_GT(plan->memory_bytes, kBlockCache + 163840 * 6);
  EXPECT_LT(plan->memory_bytes, kBlockCache + 163840 * 10);
}

TEST(PlanTest, RecommendedSizeHoldsFourTimesWhatItNeedsWithItsOwnBitmaps) {
  const auto plan = PlanCache(Sectors(65536 * kGiB), Sectors(4096 * kGiB), Sectors(1024), 0);
  ASSERT_THAT(plan, IsOk());
  const uint64_t blocks = plan->recommended_metadata_bytes / 4096;
  EXPECT_GT(blocks, 16320u * 2);
  EXPECT_GE(blocks, 4 * LiveMetadataBlocks(2, plan->cache_blocks, plan->discards.blocks, true, blocks));
}

TEST(PlanTest, WarningsNameWhatIsOdd) {
  const auto crowded = PlanCache(Sectors(4096 * kGiB), Sectors(100 * kGiB), Sectors(64), 0);
  ASSERT_THAT(crowded, IsOk());
  EXPECT_THAT(crowded->warnings, ElementsAre(HasSubstr("3276800 cache blocks")));

  const auto oversized = PlanCache(Sectors(64), Sectors(64 * 10 + 7), Sectors(64), 0);
  ASSERT_THAT(oversized, IsOk());
  EXPECT_THAT(oversized->warnings, ElementsAre(HasSubstr("the origin only 1"), HasSubstr("the last 7 sectors")));
}

TEST(PlanTest, ImpossibleSizesAreRefused) {
  const Sectors some(kGiB);
  EXPECT_THAT(PlanCache(Sectors(0), some, Sectors(64), 0), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(PlanCache(some, Sectors(0), Sectors(64), 0), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(PlanCache(some, some, Sectors(100), 0), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(PlanCache(some, Sectors(63), Sectors(64), 0), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(PlanCache(some, Sectors(uint64_t{64} << 32), Sectors(64), 0), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(PlanCache(Sectors(~uint64_t{0}), some, Sectors(64), 0), HasReasonIs(Reason::kInvalidRequest));
  // 32 bits hold it, but no metadata device does.
  EXPECT_THAT(PlanCache(some, Sectors(uint64_t{64} * 0xFFFFFFFFu), Sectors(64), 0),
              HasReasonIs(Reason::kInvalidRequest));
}

}  // namespace
}  // namespace dmcached
