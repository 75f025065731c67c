#include "core/device/block_device.h"

#include <gtest/gtest.h>

#include "core/base/aligned_buffer.h"
#include "core/device/memory_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/manual_clock.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

// Takes 3 ms for each flush.
class SlowFlushDevice : public MemoryDevice {
 public:
  SlowFlushDevice(uint64_t size_bytes, ManualClock& clock) : MemoryDevice(size_bytes, "slow", &clock), clock_(clock) {}

 protected:
  absl::Status DoFlush() override {
    clock_.Advance(std::chrono::milliseconds(3));
    return absl::OkStatus();
  }

 private:
  ManualClock& clock_;
};

uint64_t Operations(const DeviceStats::PerOp& stats) {
  uint64_t count = 0;
  for (size_t bucket = 0; bucket <= kLatencyBoundsSeconds.size(); ++bucket) count += stats.seconds.count(bucket);
  return count;
}

TEST(BlockDeviceStatsTest, BytesAndOperationsAreCountedByKind) {
  ManualClock clock;
  SlowFlushDevice device(1 << 20, clock);
  AlignedBuffer buffer(8192);
  ASSERT_THAT(device.Write(4096, buffer.span()), IsOk());
  ASSERT_THAT(device.Read(0, buffer.span().first(4096)), IsOk());
  ASSERT_THAT(device.Flush(), IsOk());

  const DeviceStats& stats = device.stats();
  EXPECT_EQ(stats.op(DeviceOp::kWrite).bytes.load(), 8192u);
  EXPECT_EQ(stats.op(DeviceOp::kRead).bytes.load(), 4096u);
  EXPECT_EQ(Operations(stats.op(DeviceOp::kWrite)), 1u);
  EXPECT_EQ(Operations(stats.op(DeviceOp::kFlush)), 1u);
  EXPECT_DOUBLE_EQ(stats.op(DeviceOp::kFlush).seconds.sum(), 0.003);
  EXPECT_EQ(stats.op(DeviceOp::kDiscard).bytes.load(), 0u);
}

TEST(BlockDeviceStatsTest, FailuresAreCountedAndMoveNoBytes) {
  FaultyDevice device(1 << 20, {.fail_read = 0, .fail_flush = 0});
  AlignedBuffer buffer(4096);
  EXPECT_FALSE(device.Read(0, buffer.span()).ok());
  EXPECT_FALSE(device.Read(1 << 20, buffer.span()).ok());  // Beyond the end.
  EXPECT_FALSE(device.Flush().ok());
  EXPECT_EQ(device.stats().op(DeviceOp::kRead).errors.load(), 2u);
  EXPECT_EQ(device.stats().op(DeviceOp::kRead).bytes.load(), 0u);
  EXPECT_EQ(device.stats().op(DeviceOp::kFlush).errors.load(), 1u);
}

TEST(BlockDeviceStatsTest, WithoutAClockNothingIsTimed) {
  MemoryDevice device(4096);
  ASSERT_THAT(device.Flush(), IsOk());
  EXPECT_EQ(Operations(device.stats().op(DeviceOp::kFlush)), 0u);
}

}  // namespace
}  // namespace dmcached
