#include "tests/support/faulty_device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "core/base/aligned_buffer.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kSize = 16 * kBlock;
constexpr uint64_t kSeeds = 200;

AlignedBuffer Filled(char value, uint64_t size_bytes = kBlock) {
  AlignedBuffer buffer(size_bytes);
  std::fill_n(buffer.data(), size_bytes, static_cast<std::byte>(value));
  return buffer;
}

absl::Status WriteBlock(FaultyDevice& device, uint64_t block, char value) {
  const AlignedBuffer buffer = Filled(value);
  return device.Write(block * kBlock, buffer.span());
}

// The distinct bytes of a block, in order of value: "a" whole, "\0a" torn or partly written.
std::string Contents(const std::vector<std::byte>& image, uint64_t block) {
  std::set<char> bytes;
  for (uint64_t i = block * kBlock; i < (block + 1) * kBlock; ++i) bytes.insert(static_cast<char>(image[i]));
  return {bytes.begin(), bytes.end()};
}

// What CrashImage may leave in a block, over many seeds.
std::set<std::string> Outcomes(const FaultyDevice& device, uint64_t block) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) outcomes.insert(Contents(device.CrashImage(seed), block));
  return outcomes;
}

const std::string kZero(1, '\0');

TEST(FaultyDeviceTest, UnflushedWriteMayBeThereMissingOrTorn) {
  FaultyDevice device(kSize);
  ASSERT_THAT(WriteBlock(device, 3, 'a'), IsOk());
  EXPECT_EQ(Contents(device.Image(), 3), "a");
  EXPECT_EQ(Contents(device.CrashImage(0), 3), kZero);
  EXPECT_EQ(Contents(device.CrashImage(1), 3), "a");
  EXPECT_EQ(Outcomes(device, 3), (std::set<std::string>{kZero, kZero + "a", "a"}));
}

TEST(FaultyDeviceTest, TornAtSectorsOnly) {
  FaultyDevice device(kSize);
  ASSERT_THAT(WriteBlock(device, 0, 'a'), IsOk());
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const std::vector<std::byte> image = device.CrashImage(seed);
    for (size_t i = 0; i < kBlock; ++i) ASSERT_EQ(image[i], image[i / 512 * 512]) << "byte " << i << " seed " << seed;
  }
}

TEST(FaultyDeviceTest, FlushedWriteIsInEveryCrashImage) {
  FaultyDevice device(kSize);
  ASSERT_THAT(WriteBlock(device, 3, 'a'), IsOk());
  ASSERT_THAT(device.Flush(), IsOk());
  EXPECT_EQ(Outcomes(device, 3), std::set<std::string>{"a"});
  ASSERT_THAT(WriteBlock(device, 3, 'b'), IsOk());
  EXPECT_EQ(Outcomes(device, 3), (std::set<std::string>{"a", "ab", "b"}));
}

TEST(FaultyDeviceTest, OneSeedIsOneImage) {
  FaultyDevice device(kSize);
  for (uint64_t block = 0; block < 8; ++block) ASSERT_THAT(WriteBlock(device, block, 'a'), IsOk());
  EXPECT_EQ(device.CrashImage(7), device.CrashImage(7));
}

TEST(FaultyDeviceTest, PowerCutTearsTheNextWriteAndEndsEverything) {
  FaultyDevice device(kSize, {.power_cut_after = 1});
  ASSERT_THAT(WriteBlock(device, 0, 'a'), IsOk());
  ASSERT_THAT(device.Flush(), IsOk());
  EXPECT_THAT(WriteBlock(device, 1, 'b'), CauseIs(EIO));
  EXPECT_TRUE(device.power_is_cut());
  AlignedBuffer buffer(kBlock);
  EXPECT_THAT(device.Read(0, buffer.span()), CauseIs(EIO));
  EXPECT_THAT(device.Flush(), CauseIs(EIO));
  EXPECT_THAT(WriteBlock(device, 2, 'c'), CauseIs(EIO));

  EXPECT_EQ(Outcomes(device, 0), std::set<std::string>{"a"});
  EXPECT_EQ(Outcomes(device, 1), (std::set<std::string>{kZero, kZero + "b", "b"}));
  EXPECT_EQ(Outcomes(device, 2), std::set<std::string>{kZero});
}

TEST(FaultyDeviceTest, PowerCutAtAFlushLeavesItsWritesUnsure) {
  FaultyDevice device(kSize, {.power_cut_at_flush = 0});
  ASSERT_THAT(WriteBlock(device, 0, 'a'), IsOk());
  EXPECT_THAT(device.Flush(), CauseIs(EIO));
  EXPECT_TRUE(device.power_is_cut());
  EXPECT_EQ(Outcomes(device, 0), (std::set<std::string>{kZero, kZero + "a", "a"}));
}

TEST(FaultyDeviceTest, FailedFlushMayLoseWritesThatALaterFlushCovers) {
  FaultyDevice device(kSize, {.fail_flush = 0});
  ASSERT_THAT(WriteBlock(device, 0, 'a'), IsOk());
  EXPECT_THAT(device.Flush(), CauseIs(EIO));
  ASSERT_THAT(WriteBlock(device, 1, 'b'), IsOk());
  ASSERT_THAT(device.Flush(), IsOk());
  EXPECT_EQ(Outcomes(device, 0), (std::set<std::string>{kZero, kZero + "a", "a"}));
  EXPECT_EQ(Outcomes(device, 1), std::set<std::string>{"b"});
  // Written again it is as sure as any other.
  ASSERT_THAT(WriteBlock(device, 0, 'c'), IsOk());
  ASSERT_THAT(device.Flush(), IsOk());
  EXPECT_EQ(Outcomes(device, 0), std::set<std::string>{"c"});
}

TEST(FaultyDeviceTest, NthOperationFailsOnce) {
  FaultyDevice device(kSize, {.fail_read = 1, .fail_write = 1, .no_space_write = 2});
  AlignedBuffer buffer(kBlock);
  EXPECT_THAT(device.Read(0, buffer.span()), IsOk());
  EXPECT_THAT(device.Read(0, buffer.span()), CauseIs(EIO));
  EXPECT_THAT(device.Read(0, buffer.span()), IsOk());
  EXPECT_THAT(WriteBlock(device, 0, 'a'), IsOk());
  EXPECT_THAT(WriteBlock(device, 1, 'b'), HasReasonIs(Reason::kIoError));
  EXPECT_THAT(WriteBlock(device, 2, 'c'), CauseIs(ENOSPC));
  EXPECT_THAT(WriteBlock(device, 3, 'd'), IsOk());
  EXPECT_EQ(device.reads(), 3u);
  EXPECT_EQ(device.writes(), 4u);
  EXPECT_EQ(device.flushes(), 0u);
  EXPECT_EQ(Outcomes(device, 1), (std::set<std::string>{kZero, kZero + "b", "b"}));
  EXPECT_EQ(Outcomes(device, 2), std::set<std::string>{kZero});
}

TEST(FaultyDeviceTest, BadBlocksFailEveryTransferThatTouchesThem) {
  FaultyDevice device(kSize);
  device.SetFaults({.fail_read_blocks = {5}, .fail_write_blocks = {7}});
  AlignedBuffer three(3 * kBlock);
  EXPECT_THAT(device.Read(3 * kBlock, three.span()), CauseIs(EIO));
  EXPECT_THAT(device.Read(2 * kBlock, three.span()), IsOk());
  EXPECT_THAT(device.Read(6 * kBlock, three.span()), IsOk());
  EXPECT_THAT(device.Write(5 * kBlock, three.span()), CauseIs(EIO));
  EXPECT_THAT(device.Write(4 * kBlock, three.span()), IsOk());
  EXPECT_THAT(device.Write(8 * kBlock, three.span()), IsOk());
  device.SetFaults({});
  EXPECT_THAT(device.Read(3 * kBlock, three.span()), IsOk());
}

}  // namespace
}  // namespace dmcached
