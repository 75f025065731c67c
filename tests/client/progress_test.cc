#include "client/cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace dmcached::cli {
namespace {

using testing::HasSubstr;

TEST(ProgressTest, ABarIsDrawnOverItselfAndTakenAway) {
  std::ostringstream err;
  {
    Progress progress(err, Progress::Style::kBar, "mappings");
    progress.Update(50, 0.5);
    EXPECT_EQ(err.str(), "\r[###############...............] 50% 50 mappings");
    progress.Update(100, 1.0);
    EXPECT_THAT(err.str(), HasSubstr("\r[##############################] 100% 100 mappings"));
    err.str("");
  }
  EXPECT_EQ(err.str(), "\r" + std::string(50, ' ') + "\r");
}

TEST(ProgressTest, ABarWithoutAKnownEndIsACount) {
  std::ostringstream err;
  Progress progress(err, Progress::Style::kBar, "mappings");
  progress.Update(65536, std::nullopt);
  EXPECT_EQ(err.str(), "\r65536 mappings");
}

TEST(ProgressTest, APipeGetsALineEveryFiveSeconds) {
  std::ostringstream err;
  std::chrono::steady_clock::time_point now{};
  Progress progress(err, Progress::Style::kLines, "mappings", [&now] { return now; });
  progress.Update(1, 0.01);
  now += std::chrono::seconds(5);
  progress.Update(2, 0.02);
  progress.Update(3, 0.03);
  now += std::chrono::seconds(5);
  progress.Update(4, std::nullopt);
  EXPECT_EQ(err.str(), "2 mappings, 2%\n4 mappings\n");
}

TEST(ProgressTest, NothingIsSaidWhereNothingIsWanted) {
  std::ostringstream err;
  std::chrono::steady_clock::time_point now{};
  {
    Progress progress(err, Progress::Style::kNone, "mappings", [&now] { return now; });
    now += std::chrono::hours(1);
    progress.Update(1, 0.5);
  }
  EXPECT_EQ(err.str(), "");
}

}  // namespace
}  // namespace dmcached::cli
