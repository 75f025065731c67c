// FORMAT.md 8.3: resize, with the shrink check.
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/core/cache/cache_fixture.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

class ResizeTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(ResizeTest);

TEST_P(ResizeTest, EverySizeToEveryOtherKeepsWhatIsBelowAndZeroesWhatIsNew) {
  const uint32_t sizes[] = {0, 1, 63, 64, 65, 508, 509, 510, 1018, 1019, 1500};
  for (const uint32_t from : sizes) {
    for (const uint32_t to : sizes) {
      SCOPED_TRACE(testing::Message() << from << " to " << to);
      TestCache cache(96);
      ASSERT_THAT(cache.Format(version(), from), IsOk());
      ASSERT_THAT(cache.BeginHints("smq"), IsOk());
      Mappings expected;
      for (uint32_t cblock = 0; cblock < from; ++cblock) {
        if (cblock % 7 != 0 && cblock != from - 1) continue;
        const bool dirty = cblock < to;
        ASSERT_THAT(cache.Insert({cblock}, {cblock + 5}, {dirty}), IsOk());
        if (cblock < to) expected[cblock] = {cblock + 5, dirty};
      }
      ASSERT_THAT(cache.Resize(to), IsOk());
      EXPECT_EQ(cache->cache_blocks(), to);
      EXPECT_EQ(cache.Load(), expected);
      ASSERT_THAT(cache.Commit(), IsOk());
      ASSERT_THAT(cache.Resize(1500), IsOk());
      ASSERT_THAT(cache.Commit(), IsOk());
      ExpectSound(cache);
      ASSERT_THAT(cache.Open(), IsOk());
      EXPECT_EQ(cache->cache_blocks(), 1500u);
      EXPECT_EQ(cache.Load(), expected);
      EXPECT_EQ(cache->dirty_blocks(), expected.size());
      EXPECT_EQ(cache->free_cblocks(), 1500 - expected.size());
    }
  }
}

TEST_P(ResizeTest, ShrinkOverDirtyBlocksNamesTheirCountAndTheFirstSixteen) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1000), IsOk());
  for (uint32_t cblock = 500; cblock < 540; cblock += 2) {
    ASSERT_THAT(cache.Insert({cblock}, {cblock}, {true}), IsOk());
  }
  ASSERT_THAT(cache.Commit(), IsOk());
  const absl::Status refused = cache.Resize(502);
  EXPECT_THAT(refused, HasReasonIs(Reason::kDirtyBlocks));
  EXPECT_THAT(
      std::string(refused.message()),
      HasSubstr(": 19 dirty cblocks lie in the part to be cut: 502, 504, 506, 508, 510, 512, 514, 516, 518, 520, "
                "522, 524, 526, 528, 530, 532, ..."));
  EXPECT_EQ(cache->cache_blocks(), 1000u);
  EXPECT_FALSE(cache->changed());
  EXPECT_THAT(std::string(cache.Resize(538).message()), testing::EndsWith(": 538"));
  EXPECT_THAT(cache.Resize(539), IsOk());
}

TEST_P(ResizeTest, CleanMappingsInTheCutPartAreDropped) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1000, 5000), IsOk());
  ASSERT_THAT(cache.Insert({1, 999}, {10, 20}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ASSERT_THAT(cache.Resize(900), IsOk());
  EXPECT_FALSE(cache.LookupOblocks({20})->front().mapped);
  EXPECT_THAT(cache.Insert({2}, {20}), IsOk()) << "the oblock is free again";
  ASSERT_THAT(cache.Resize(1000), IsOk());
  EXPECT_FALSE(cache->IsFree(Cblock(999))) << "its removal is not durable yet";
  EXPECT_THAT(cache.Insert({999}, {30}), HasReasonIs(Reason::kCblockInUse));
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_THAT(cache.Insert({999}, {30}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

TEST_P(ResizeTest, FastDeviceBoundsIt) {
  TestCache cache;
  FormatParams params = Params(version(), 100);
  params.fast_size = Sectors(100 * 64);
  ASSERT_THAT(cache.Format(params), IsOk());
  EXPECT_THAT(cache.Resize(101), HasReasonIs(Reason::kGeometryMismatch));
  EXPECT_THAT(cache.Resize(99), IsOk());
  EXPECT_THAT(cache.Resize(100), IsOk());
}

TEST_P(ResizeTest, OriginMayNotEndBeforeAMapping) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100, 1000), IsOk());
  ASSERT_THAT(cache.Insert({3}, {500}), IsOk());
  const absl::Status refused = cache.Resize(50, Sectors(500 * 64));
  EXPECT_THAT(refused, HasReasonIs(Reason::kGeometryMismatch));
  EXPECT_EQ(cache->cache_blocks(), 100u) << "the request is refused whole";
  EXPECT_THAT(cache.Resize(std::nullopt, Sectors(0)), HasReasonIs(Reason::kInvalidRequest));
  ASSERT_THAT(cache.Resize(50, Sectors(501 * 64)), IsOk());
  EXPECT_THAT(cache.Insert({4}, {501}), HasReasonIs(Reason::kOblockOutOfRange));
  ASSERT_THAT(cache.Resize(std::nullopt, Sectors(2000 * 64)), IsOk());
  EXPECT_THAT(cache.Insert({4}, {1999}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

TEST_P(ResizeTest, WithoutSpaceNothingIsChanged) {
  TestCache cache(64);
  ASSERT_THAT(cache.Format(version(), 1000), IsOk());
  ASSERT_THAT(cache.Insert({1}, {1}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  const uint64_t free = cache->free_metadata_blocks();
  EXPECT_THAT(cache.Resize(1000000), HasReasonIs(Reason::kMetadataNoSpace));
  EXPECT_EQ(cache->cache_blocks(), 1000u);
  EXPECT_EQ(cache->free_metadata_blocks(), free);
  EXPECT_FALSE(cache->changed());
  EXPECT_THAT(cache.Resize(2000), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

// Blocks of a resize whose writes failed are neither leaked nor taken for those of the next one.
TEST_P(ResizeTest, FailedWriteOfFreshBlocksIsForgotten) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1000), IsOk());
  cache.device().SetFaults({.fail_write = cache.device().writes()});
  EXPECT_THAT(cache.Resize(3000), HasReasonIs(Reason::kIoError));
  EXPECT_EQ(cache->cache_blocks(), 1000u);
  ASSERT_THAT(cache.Resize(5000), IsOk());
  ASSERT_THAT(cache.Insert({4999}, {1}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
  cache.device().SetFaults({.fail_write = cache.device().writes()});
  EXPECT_THAT(cache.Resize(9000), HasReasonIs(Reason::kIoError));
  ASSERT_THAT(cache.Insert({1}, {2}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

TEST_P(ResizeTest, SurplusBlocksOfAForeignWriterAreFreed) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 2000), IsOk());
  PatchSuperblock(cache.device(), [](Superblock& s) { s.cache_blocks = 300; });
  ASSERT_THAT(cache.Open(), IsOk());
  ASSERT_THAT(cache.Resize(301), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache->store().array(ArrayKind::kMappings).slots().size(), 1u);
  ExpectSound(cache);
}

TEST_P(ResizeTest, OverTheSizeOfOneIndexNodeAndBack) {
  TestCache cache(2048);
  ASSERT_THAT(cache.Format(version(), 252 * 509), IsOk());
  ASSERT_THAT(cache.Insert({0, 252 * 509 - 1}, {1, 2}, {true, false}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ASSERT_THAT(cache.Resize(252 * 509 + 1), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
  ASSERT_THAT(cache.Open(), IsOk());
  ASSERT_THAT(cache.Insert({252 * 509}, {3}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
  ASSERT_THAT(cache.Resize(252 * 509), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
  EXPECT_EQ(cache.Load(), (Mappings{{0, {1, true}}, {252 * 509 - 1, {2, false}}}));
}

}  // namespace
}  // namespace dmcached
