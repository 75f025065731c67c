// FORMAT.md 8.10: set_dirty and clear_dirty, and what dirtiness means after a crash.
#include <gtest/gtest.h>

#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

class SetDirtyTest : public VersionTest {
 protected:
  SetDirtyTest() {
    EXPECT_THAT(cache_.Format(version(), 1200, 5000), IsOk());
    EXPECT_THAT(cache_.Insert({5, 63, 64, 1100}, {50, 60, 70, 80}), IsOk());
    EXPECT_THAT(cache_.Commit(), IsOk());
  }
  ~SetDirtyTest() override { ExpectSound(cache_); }

  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(SetDirtyTest);

TEST_P(SetDirtyTest, MarksAreStoredWithTheCommit) {
  ASSERT_THAT(cache_.MarkDirty({63, 1100, 63}), IsOk());
  const Mappings expected = {{5, {50, false}}, {63, {60, true}}, {64, {70, false}}, {1100, {80, true}}};
  EXPECT_EQ(cache_.Load(), expected);
  EXPECT_EQ(cache_->dirty_blocks(), 2u);
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_.Load(), expected);
}

TEST_P(SetDirtyTest, MarkThatIsThereAlreadyChangesNothing) {
  ASSERT_THAT(cache_.MarkDirty({5}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.MarkDirty({5}), IsOk());
  EXPECT_FALSE(cache_->changed());
}

TEST_P(SetDirtyTest, BadItemRefusesTheRequestWhole) {
  const absl::Status unmapped = cache_.MarkDirty({5, 6});
  EXPECT_THAT(unmapped, HasReasonIs(Reason::kNotMapped));
  EXPECT_EQ(ItemOf(unmapped), 1u);
  const absl::Status beyond = cache_.MarkDirty({5, 63, 1200});
  EXPECT_THAT(beyond, HasReasonIs(Reason::kCblockOutOfRange));
  EXPECT_EQ(ItemOf(beyond), 2u);
  EXPECT_THAT(cache_.MarkDirty(std::vector<uint32_t>(kMaxItemsPerRequest + 1, 5)), HasReasonIs(Reason::kTooManyItems));
  EXPECT_EQ(cache_->dirty_blocks(), 0u);
  EXPECT_FALSE(cache_->changed());
}

class ClearDirtyTest : public SetDirtyTest {};
DMCACHED_BOTH_VERSIONS(ClearDirtyTest);

TEST_P(ClearDirtyTest, ReallyClears) {
  ASSERT_THAT(cache_.MarkDirty({5, 63, 64, 1100}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.ClearDirty({63, 64}, {60, 70}), IsOk());
  const Mappings expected = {{5, {50, true}}, {63, {60, false}}, {64, {70, false}}, {1100, {80, true}}};
  EXPECT_EQ(cache_.Load(), expected);
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_.Load(), expected);
}

TEST_P(ClearDirtyTest, OnlyThePairThatTheCallerMeans) {
  ASSERT_THAT(cache_.MarkDirty({5}), IsOk());
  const absl::Status other = cache_.ClearDirty({63, 5}, {60, 51});
  EXPECT_THAT(other, HasReasonIs(Reason::kNotMapped));
  EXPECT_EQ(ItemOf(other), 1u);
  EXPECT_THAT(cache_.ClearDirty({6}, {50}), HasReasonIs(Reason::kNotMapped));
  EXPECT_THAT(cache_.ClearDirty({1200}, {50}), HasReasonIs(Reason::kCblockOutOfRange));
  EXPECT_THAT(cache_.ClearDirty({5}, {5000}), HasReasonIs(Reason::kOblockOutOfRange));
  EXPECT_THAT(cache_.ClearDirty({5}, {}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_EQ(cache_->dirty_blocks(), 1u);
  ASSERT_THAT(cache_.Commit(), IsOk());
}

class DirtyTrackingTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(DirtyTrackingTest);

TEST_P(DirtyTrackingTest, ExactKeepsTheDirtySetOverACrash) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1200), IsOk());
  ASSERT_THAT(cache.Insert({1, 2}, {10, 20}, {true, false}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_TRUE(cache.OnMedium().clean_shutdown);
  TestCache after_crash(cache.device().CrashImage(0));
  ASSERT_THAT(after_crash.Open(), IsOk());
  EXPECT_FALSE(after_crash->adopted());
  EXPECT_EQ(after_crash.Load(), (Mappings{{1, {10, true}}, {2, {20, false}}}));
}

TEST_P(DirtyTrackingTest, ConservativeClearsTheFlagAtOpenAndSetsItOnlyWhenCommittedClean) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1200), IsOk());
  ASSERT_THAT(cache.Insert({1, 2}, {10, 20}, {true, false}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ASSERT_THAT(cache.Open(Conservative()), IsOk());
  EXPECT_FALSE(cache->adopted());
  EXPECT_FALSE(cache.OnMedium().clean_shutdown);
  EXPECT_FALSE(cache->clean_on_medium());
  ASSERT_THAT(cache.MarkDirty({2}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_FALSE(cache.OnMedium().clean_shutdown);
  ASSERT_THAT(cache.Commit(/*clean=*/true), IsOk());
  EXPECT_TRUE(cache.OnMedium().clean_shutdown);
  EXPECT_TRUE(cache->clean_on_medium());
  ASSERT_THAT(cache.Open(Conservative()), IsOk());
  EXPECT_EQ(cache.Load(), (Mappings{{1, {10, true}}, {2, {20, true}}}));
}

TEST_P(DirtyTrackingTest, ConservativeCrashMakesEverythingDirty) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1200), IsOk());
  ASSERT_THAT(cache.Open(Conservative()), IsOk());
  ASSERT_THAT(cache.Insert({1, 2}, {10, 20}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  TestCache after_crash(cache.device().CrashImage(0));
  ASSERT_THAT(after_crash.Open(Conservative()), IsOk());
  EXPECT_TRUE(after_crash->adopted());
  EXPECT_EQ(after_crash.Load(), (Mappings{{1, {10, true}}, {2, {20, true}}}));
}

TEST_P(DirtyTrackingTest, CleanCommitInFlightCountsAsCleanOnTheMedium) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1200), IsOk());
  ASSERT_THAT(cache.Open(Conservative()), IsOk());
  EXPECT_FALSE(cache->clean_on_medium());
  auto batch = cache->Prepare(/*clean=*/true);
  ASSERT_THAT(batch, IsOk());
  EXPECT_TRUE((*batch)->clean());
  EXPECT_TRUE(cache->clean_on_medium());
}

}  // namespace
}  // namespace dmcached
