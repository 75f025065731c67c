// The device shrinks at every write of a scenario: errors are clear, a device that is too small is not opened and not
// touched, and once it has its size again everything that was acknowledged is there.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_join.h"
#include "tests/fault/scenario.h"
#include "tests/fault/shrinking_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

class ShrinkTest : public testing::TestWithParam<uint32_t> {
 protected:
  static std::unique_ptr<Scenario> OnDevice(BlockDevice& device, Shrinking& shrinking) {
    return std::make_unique<Scenario>(
        [&](const DeviceRequest&) { return std::make_unique<ShrinkingDevice>(device, shrinking); }, GetParam(),
        DirtyTracking::kExact);
  }

  static uint64_t WritesUndisturbed() {
    FaultyDevice device(kScenarioBlocks * kMetadataBlockBytes);
    Shrinking shrinking;
    const auto scenario = OnDevice(device, shrinking);
    scenario->Run();
    EXPECT_EQ(scenario->errors(), 0u);
    return shrinking.writes;
  }

  void Shrink(uint64_t at_write, uint64_t to_blocks) {
    FaultyDevice device(kScenarioBlocks * kMetadataBlockBytes);
    Shrinking shrinking{.at_write = at_write, .to_bytes = to_blocks * kMetadataBlockBytes};
    const auto scenario = OnDevice(device, shrinking);
    scenario->Run();
    EXPECT_EQ(absl::StrJoin(scenario->unclear(), "; "), "");
    scenario->ExpectReasons({Reason::kIoError, Reason::kOutcomeUnknown, Reason::kLost, Reason::kCacheFailed,
                             Reason::kMetadataNoSpace, Reason::kMetadataCorrupt});
    if (!scenario->created()) return;
    ++runs_;
    errors_ += scenario->errors();
    // One that had shrunk before it was formatted is whole.
    if (shrinking.shrunk() && WalkImage(device.Image()).metadata_blocks > to_blocks) ExpectRefused(device, *scenario);
    shrinking.at_write = std::numeric_limits<uint64_t>::max();  // It has its size again.
    ASSERT_THAT(scenario->OpenAgain(), IsOk());
    for (uint64_t seed = 0; seed < 4; ++seed) scenario->ExpectHolds(device.CrashImage(seed));
  }

  unsigned long long runs_ = 0;
  unsigned long long errors_ = 0;

 private:
  // Whatever is tried on a device that is too small.
  static void ExpectRefused(const FaultyDevice& device, Scenario& scenario) {
    const WalkedImage walked = WalkImage(device.Image());
    ASSERT_EQ(walked.Faults(), "");
    const std::vector<std::byte> before = device.Image();
    const absl::Status opened = scenario.OpenAgain();
    EXPECT_FALSE(opened.ok()) << "blocks that the map manages are gone";
    EXPECT_NE(opened.message(), "");
    EXPECT_TRUE(ReasonOf(opened).has_value()) << opened;
    EXPECT_EQ(device.Image(), before) << "a device that is too small was written to";
  }
};

TEST_P(ShrinkTest, AtEveryWriteNothingAcknowledgedIsLost) {
  const uint64_t writes = WritesUndisturbed();
  for (const uint64_t to_blocks : {uint64_t{1}, uint64_t{10}, kScenarioBlocks / 2, kScenarioBlocks - 1}) {
    for (uint64_t write = 0; write < writes && !HasFailure(); ++write) {
      SCOPED_TRACE(testing::Message() << "to " << to_blocks << " blocks before write " << write);
      Shrink(write, to_blocks);
    }
  }
  EXPECT_GT(errors_, 0u);
  std::printf("%llu runs on devices that shrank, %llu errors\n", runs_, errors_);
}

TEST_P(ShrinkTest, ADeviceThatIsTooSmallIsRefusedWithBothSizes) {
  FaultyDevice device(kScenarioBlocks * kMetadataBlockBytes);
  Shrinking shrinking;
  const auto scenario = OnDevice(device, shrinking);
  scenario->Run();
  shrinking = {.at_write = 0, .to_bytes = 60 * kMetadataBlockBytes, .writes = 1};
  const absl::Status opened = scenario->OpenAgain();
  EXPECT_THAT(opened, HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(std::string(opened.message()), testing::HasSubstr("manages 120 blocks, the device has 60"));
}

INSTANTIATE_TEST_SUITE_P(Versions, ShrinkTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "Version" + std::to_string(version.param); });

}  // namespace
}  // namespace dmcached
