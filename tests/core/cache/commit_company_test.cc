#include "core/cache/commit_company.h"

#include <gtest/gtest.h>

namespace dmcached {
namespace {

using std::chrono::microseconds;

TEST(CommitCompanyTest, NobodyIsExpectedAtFirst) {
  const CommitCompany company;
  EXPECT_EQ(company.Pause(Duration{0}, 0), Duration{0});
  EXPECT_EQ(company.Pause(Duration{0}, 1), Duration{0});
}

TEST(CommitCompanyTest, WhoWasAnsweredAndWhoWaitsAreExpected) {
  CommitCompany company;
  company.Ended(microseconds(1000), microseconds(400), /*answered=*/2, /*waiting=*/1);
  EXPECT_EQ(company.Pause(microseconds(1000), 1), microseconds(100));
  EXPECT_EQ(company.Pause(microseconds(1060), 2), microseconds(40));
  EXPECT_EQ(company.Pause(microseconds(1060), 3), Duration{0}) << "all are there";
  EXPECT_EQ(company.Pause(microseconds(1101), 1), Duration{0}) << "the moment is over";
}

TEST(CommitCompanyTest, OneAloneIsNeverPutOff) {
  CommitCompany company;
  company.Ended(microseconds(1000), microseconds(400), /*answered=*/1, /*waiting=*/0);
  EXPECT_EQ(company.Pause(microseconds(1000), 1), Duration{0});
}

TEST(CommitCompanyTest, AFastDeviceIsNotKeptWaiting) {
  CommitCompany company;
  company.Ended(microseconds(1000), microseconds(100), /*answered=*/1, /*waiting=*/1);
  EXPECT_EQ(company.Pause(microseconds(1000), 1), Duration{0});
}

TEST(CommitCompanyTest, ASlowDeviceDoesNotMakeTheMomentLong) {
  CommitCompany company;
  company.Ended(microseconds(1000), std::chrono::seconds(10), /*answered=*/5, /*waiting=*/5);
  EXPECT_EQ(company.Pause(microseconds(1000), 1), microseconds(500));
}

}  // namespace
}  // namespace dmcached
