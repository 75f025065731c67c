// One seed does the same every time, whatever ran before.
#include <gtest/gtest.h>

#include "tests/crash/crash_sweep.h"
#include "tests/crash/engine_history.h"

namespace dmcached {
namespace {

constexpr int kSteps = 60;

TEST(RepeatTest, AHistoryIsTheSameTwice) {
  for (const uint64_t seed : {1, 2, 10}) {
    const RecordedHistory once = RecordHistory(seed, kSteps);
    const RecordedHistory twice = RecordHistory(seed, kSteps);
    ASSERT_EQ(once.failure, "");
    ASSERT_EQ(once.boundaries.size(), twice.boundaries.size());
    for (size_t i = 0; i < once.boundaries.size(); ++i) {
      const IoEvent& one = once.boundaries[i].event;
      const IoEvent& other = twice.boundaries[i].event;
      ASSERT_TRUE(one.kind == other.kind && one.offset_bytes == other.offset_bytes && one.data == other.data)
          << "seed " << seed << ", event " << i;
    }
  }
}

TEST(RepeatTest, ASweepMakesTheSameImagesHoweverManyAreKnown) {
  const RecordedHistory history = RecordHistory(3, kSteps);
  constexpr SweepOptions kOptions = {.seed = 3, .second_cut_one_in = 20};
  DistinctImages images;
  CrashSweep first(history, kOptions, images);
  ASSERT_EQ(first.Run(), "");
  EXPECT_GT(first.numbers().second_cuts, 0u);
  CrashSweep again(history, kOptions, images);
  ASSERT_EQ(again.Run(), "");
  EXPECT_EQ(again.numbers().judged, 0u);
}

}  // namespace
}  // namespace dmcached
