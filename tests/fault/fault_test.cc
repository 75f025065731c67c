// Every read, write and flush of a scenario fails once, every block fails for good: errors are clear, the service goes
// on, nothing that was acknowledged is lost.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <string>
#include <tuple>

#include "absl/strings/str_join.h"
#include "tests/fault/scenario.h"
#include "tests/support/faulty_device.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

// What the first request says that meets the fault.
const std::set<Reason> kOfReads = {Reason::kIoError};
const std::set<Reason> kOfWrites = {Reason::kIoError, Reason::kOutcomeUnknown, Reason::kLost, Reason::kCacheFailed};
const std::set<Reason> kOfFullWrites = {Reason::kMetadataNoSpace, Reason::kOutcomeUnknown, Reason::kLost,
                                        Reason::kCacheFailed};

class FaultTest : public testing::TestWithParam<std::tuple<uint32_t, DirtyTracking>> {
 protected:
  ~FaultTest() override {
    std::printf("%llu faults met, %llu errors, %llu recoveries\n", faults_, errors_, recoveries_);
  }

  // Operations of an undisturbed run.
  void Count() {
    FaultyDevice device(kScenarioBlocks * kMetadataBlockBytes);
    Scenario scenario(device, std::get<0>(GetParam()), std::get<1>(GetParam()));
    scenario.Run();
    ASSERT_EQ(scenario.errors(), 0u);
    ASSERT_EQ(scenario.promises().mapped().size(), 77u);
    ASSERT_EQ(scenario.promises().dirty().size(), 67u);
    reads_ = device.reads();
    writes_ = device.writes();
    flushes_ = device.flushes();
  }

  void RunWith(const FaultOptions& faults, const std::set<Reason>& reasons) {
    FaultyDevice device(kScenarioBlocks * kMetadataBlockBytes, faults);
    Scenario scenario(device, std::get<0>(GetParam()), std::get<1>(GetParam()));
    scenario.Run();
    ++faults_;
    errors_ += scenario.errors();
    recoveries_ += scenario.recoveries();
    EXPECT_EQ(absl::StrJoin(scenario.unclear(), "; "), "");
    scenario.ExpectReasons(reasons);
    device.SetFaults({});
    if (!scenario.created()) return;
    // Whatever the medium holds after a power cut now, and what a reopen makes of it.
    for (uint64_t seed = 0; seed < 4; ++seed) scenario.ExpectHolds(device.CrashImage(seed));
    ASSERT_THAT(scenario.OpenAgain(), IsOk());
    scenario.ExpectHolds(device.CrashImage(0));
  }

  uint64_t reads_ = 0;
  uint64_t writes_ = 0;
  uint64_t flushes_ = 0;

 private:
  unsigned long long faults_ = 0;
  unsigned long long errors_ = 0;
  unsigned long long recoveries_ = 0;
};

TEST_P(FaultTest, EveryReadFailsOnce) {
  Count();
  for (uint64_t i = 0; i < reads_ && !HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "read " << i);
    FaultOptions faults;
    faults.fail_read = i;
    RunWith(faults, kOfReads);
  }
}

TEST_P(FaultTest, EveryWriteFailsOnce) {
  Count();
  for (uint64_t i = 0; i < writes_ && !HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "write " << i);
    FaultOptions faults;
    faults.fail_write = i;
    RunWith(faults, kOfWrites);
  }
}

TEST_P(FaultTest, EveryWriteOnceFindsNoSpace) {
  Count();
  for (uint64_t i = 0; i < writes_ && !HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "write " << i);
    FaultOptions faults;
    faults.no_space_write = i;
    RunWith(faults, kOfFullWrites);
  }
}

TEST_P(FaultTest, EveryFlushFailsOnce) {
  Count();
  for (uint64_t i = 0; i < flushes_ && !HasFailure(); ++i) {
    SCOPED_TRACE(testing::Message() << "flush " << i);
    FaultOptions faults;
    faults.fail_flush = i;
    RunWith(faults, kOfWrites);
  }
}

TEST_P(FaultTest, EveryBlockFailsForGood) {
  for (uint64_t block = 0; block < kScenarioBlocks && !HasFailure(); ++block) {
    SCOPED_TRACE(testing::Message() << "block " << block);
    FaultOptions faults;
    faults.fail_read_blocks = {block};
    RunWith(faults, kOfReads);
    faults.fail_read_blocks.clear();
    faults.fail_write_blocks = {block};
    RunWith(faults, kOfWrites);
  }
}

std::string ConfigurationName(const testing::TestParamInfo<FaultTest::ParamType>& configuration) {
  const auto& [version, tracking] = configuration.param;
  return "Version" + std::to_string(version) + (tracking == DirtyTracking::kExact ? "Exact" : "Conservative");
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest,
                         testing::Combine(testing::Values(1u, 2u),
                                          testing::Values(DirtyTracking::kExact, DirtyTracking::kConservative)),
                         ConfigurationName);

}  // namespace
}  // namespace dmcached
