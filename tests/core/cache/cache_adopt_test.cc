// Adoption of unclean metadata: everything dirty, no hints, no discards, in ordinary commits.
#include <gtest/gtest.h>

#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

class AdoptTest : public VersionTest {
 protected:
  // A cache of 3000 blocks whose clean flag was lost.
  void MakeUnclean(TestCache& cache) {
    ASSERT_THAT(cache.Format(version(), 3000, 10000), IsOk());
    ASSERT_THAT(cache.BeginHints("smq"), IsOk());
    for (uint32_t cblock = 0; cblock < 3000; cblock += 10) {
      ASSERT_THAT(cache.Insert({cblock}, {cblock + 1}, {cblock % 20 == 0}), IsOk());
      expected_[cblock] = {cblock + 1, true};
    }
    ASSERT_THAT(cache.SetDiscards({Dblocks(5000, 6000)}), IsOk());
    ASSERT_THAT(cache.Commit(), IsOk());
    PatchSuperblock(cache.device(), [](Superblock& s) { s.clean_shutdown = false; });
  }
  void ExpectAdopted(TestCache& cache) {
    EXPECT_TRUE(cache->adopted());
    EXPECT_FALSE(cache->clean_when_opened());
    EXPECT_EQ(cache.Load(), expected_);
    EXPECT_EQ(cache->dirty_blocks(), expected_.size());
    EXPECT_TRUE(cache.LoadDiscards().empty());
    EXPECT_TRUE(cache.LoadHints().empty());
    EXPECT_EQ(cache->discarded_blocks(), 0u);
    EXPECT_EQ(cache.counters().unclean_opens.load(), 1u);
    ExpectSound(cache);
  }

  Mappings expected_;
};
DMCACHED_BOTH_VERSIONS(AdoptTest);

TEST_P(AdoptTest, ExactMakesEverythingDirtyOnDiskAndIsCleanThen) {
  TestCache cache;
  MakeUnclean(cache);
  ASSERT_THAT(cache.Open(), IsOk());
  ExpectAdopted(cache);
  EXPECT_TRUE(cache.OnMedium().clean_shutdown);
  EXPECT_EQ(cache.OnMedium().hint_root.value(), 0u);
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_FALSE(cache->adopted()) << "once";
  EXPECT_EQ(cache.Load(), expected_);
  EXPECT_TRUE(cache.LoadDiscards().empty());
}

TEST_P(AdoptTest, ConservativeDoesTheSameAndStaysUnclean) {
  TestCache cache;
  MakeUnclean(cache);
  ASSERT_THAT(cache.Open(Conservative()), IsOk());
  ExpectAdopted(cache);
  EXPECT_FALSE(cache.OnMedium().clean_shutdown);
  ASSERT_THAT(cache.Commit(true), IsOk());
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache.Load(), expected_);
}

TEST_P(AdoptTest, AssumeUncleanAdoptsMetadataThatSaysItIsClean) {
  TestCache cache;
  MakeUnclean(cache);
  PatchSuperblock(cache.device(), [](Superblock& s) { s.clean_shutdown = true; });
  ASSERT_THAT(cache.Open(AssumeUnclean()), IsOk());
  ExpectAdopted(cache);
}

TEST_P(AdoptTest, FlagIsSetOnlyByTheLastOfItsCommitsWhereverThePowerIsCut) {
  TestCache undisturbed;
  MakeUnclean(undisturbed);
  const std::vector<std::byte> before = undisturbed.device().Image();
  TestCache counted(before);
  ASSERT_THAT(counted.Open(), IsOk());
  const uint64_t writes = counted.device().writes();
  ASSERT_GE(writes, 4u);
  for (uint64_t cut = 0; cut < writes; ++cut) {
    for (const uint64_t seed : {0u, 1u, 2u, 3u}) {
      SCOPED_TRACE(testing::Message() << "cut " << cut << " seed " << seed);
      TestCache cache(before);
      cache.device().SetFaults({.power_cut_after = cut});
      ASSERT_FALSE(cache.Open().ok());
      TestCache after(cache.device().CrashImage(seed));
      ASSERT_THAT(after.Open(), IsOk());
      ASSERT_EQ(after.Load(), expected_);
      ASSERT_TRUE(after.LoadDiscards().empty());
    }
  }
}

TEST_P(AdoptTest, LittleSpaceMeansMoreCommits) {
  TestCache cache(110);
  ASSERT_THAT(cache.Format(version(), 509 * 40), IsOk());
  for (uint32_t block = 0; block < 40; ++block) {
    ASSERT_THAT(cache.Insert({block * 509}, {block}), IsOk());
    if (block % 10 == 9) {
      ASSERT_THAT(cache.Commit(), IsOk());
    }
    expected_[block * 509] = {block, true};
  }
  PatchSuperblock(cache.device(), [](Superblock& s) { s.clean_shutdown = false; });
  const uint64_t flushes = cache.device().flushes();
  ASSERT_THAT(cache.Open(), IsOk());
  if (version() == 1) {
    EXPECT_GE(cache.device().flushes() - flushes, 7u) << "each commit takes at most a quarter of the free blocks";
  }
  EXPECT_EQ(cache.Load(), expected_);
  ExpectSound(cache);
}

TEST_P(AdoptTest, EmptyCache) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 0), IsOk());
  PatchSuperblock(cache.device(), [](Superblock& s) { s.clean_shutdown = false; });
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_TRUE(cache->adopted());
  EXPECT_TRUE(cache.OnMedium().clean_shutdown);
}

}  // namespace
}  // namespace dmcached
