// What every BlockDevice promises, on each implementation.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/aligned_buffer.h"
#include "core/device/block_device.h"
#include "core/device/file_device.h"
#include "core/device/memory_device.h"
#include "tests/support/faulty_device.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

constexpr uint64_t kSize = 64 * 4096;

struct Implementation {
  std::string name;
  // Opens a device of kSize bytes of zeros.
  std::function<std::unique_ptr<BlockDevice>(const TempDir&, bool read_only)> open;
};

std::unique_ptr<BlockDevice> OpenFile(const TempDir& dir, bool read_only) {
  const std::string path = dir.CreateFile("device", kSize);
  auto device = OpenFileDevice({.path = path, .read_only = read_only}, nullptr);
  EXPECT_THAT(device, IsOk());
  return device.ok() ? *std::move(device) : nullptr;
}

std::vector<Implementation> Implementations() {
  return {
      {"Memory", [](const TempDir&,
                    bool read_only) { return std::make_unique<MemoryDevice>(kSize, "memory", nullptr, read_only); }},
      {"File", OpenFile},
      {"Faulty", [](const TempDir&, bool) { return std::make_unique<FaultyDevice>(kSize); }},
  };
}

class DeviceContractTest : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    device_ = GetParam().open(dir_, /*read_only=*/false);
    ASSERT_NE(device_, nullptr);
  }

  static AlignedBuffer Pattern(size_t size, int seed) {
    AlignedBuffer buffer(size);
    for (size_t i = 0; i < size; ++i) buffer.data()[i] = static_cast<std::byte>((i * 7 + i / 4096 + seed * 31u) & 0xFF);
    return buffer;
  }

  TempDir dir_;
  std::unique_ptr<BlockDevice> device_;
};

bool Equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

TEST_P(DeviceContractTest, NewDeviceReadsAsZeros) {
  EXPECT_EQ(device_->size_bytes(), kSize);
  AlignedBuffer buffer = Pattern(4096, 1);
  ASSERT_THAT(device_->Read(kSize - 4096, buffer.span()), IsOk());
  EXPECT_TRUE(Equal(buffer.span(), AlignedBuffer(4096).span()));
}

TEST_P(DeviceContractTest, AlignmentIsAPowerOfTwoUpTo4096) {
  const size_t alignment = device_->alignment_bytes();
  EXPECT_GE(alignment, 1u);
  EXPECT_LE(alignment, 4096u);
  EXPECT_EQ(alignment & (alignment - 1), 0u);
}

TEST_P(DeviceContractTest, WhatIsWrittenIsRead) {
  const AlignedBuffer written = Pattern(3 * 4096, 2);
  ASSERT_THAT(device_->Write(5 * 4096, written.span()), IsOk());
  AlignedBuffer read(5 * 4096);
  ASSERT_THAT(device_->Read(4 * 4096, read.span()), IsOk());
  EXPECT_TRUE(Equal(read.span().subspan(4096, 3 * 4096), written.span()));
  EXPECT_TRUE(Equal(read.span().first(4096), AlignedBuffer(4096).span()));
  EXPECT_TRUE(Equal(read.span().last(4096), AlignedBuffer(4096).span()));
  EXPECT_THAT(device_->Flush(), IsOk());
}

TEST_P(DeviceContractTest, VectoredPiecesAreConsecutive) {
  const AlignedBuffer a = Pattern(4096, 3);
  const AlignedBuffer b = Pattern(2 * 4096, 4);
  const std::vector<std::span<const std::byte>> writes = {a.span(), b.span()};
  ASSERT_THAT(device_->WriteV(4096, writes), IsOk());

  AlignedBuffer first(2 * 4096);
  AlignedBuffer second(4096);
  const std::vector<std::span<std::byte>> reads = {first.span(), second.span()};
  ASSERT_THAT(device_->ReadV(4096, reads), IsOk());
  EXPECT_TRUE(Equal(first.span().first(4096), a.span()));
  EXPECT_TRUE(Equal(first.span().last(4096), b.span().first(4096)));
  EXPECT_TRUE(Equal(second.span(), b.span().last(4096)));
}

TEST_P(DeviceContractTest, NothingToTransferIsFine) {
  EXPECT_THAT(device_->WriteV(0, {}), IsOk());
  EXPECT_THAT(device_->ReadV(kSize, {}), IsOk());
}

TEST_P(DeviceContractTest, TransferBeyondTheEndIsRefusedWhole) {
  AlignedBuffer buffer = Pattern(2 * 4096, 5);
  for (const uint64_t offset : {kSize - 4096, kSize, kSize + 4096, ~uint64_t{4095}}) {
    SCOPED_TRACE(offset);
    EXPECT_THAT(device_->Read(offset, buffer.span()), CauseIs(ERANGE));
    EXPECT_THAT(device_->Write(offset, buffer.span()), CauseIs(ERANGE));
  }
  const AlignedBuffer longer = Pattern(kSize + 4096, 6);  // Than the device.
  EXPECT_THAT(device_->Write(0, longer.span()), CauseIs(ERANGE));
  AlignedBuffer last(4096);
  ASSERT_THAT(device_->Read(kSize - 4096, last.span()), IsOk());
  EXPECT_TRUE(Equal(last.span(), AlignedBuffer(4096).span()));
}

TEST_P(DeviceContractTest, UnalignedTransferIsRefused) {
  AlignedBuffer buffer(2 * 4096);
  const size_t odd = device_->alignment_bytes() / 2;
  EXPECT_THAT(device_->Read(odd, buffer.span().first(4096)), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(device_->Read(0, buffer.span().subspan(odd, 4096)), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(device_->Write(0, buffer.span().first(odd)), HasReasonIs(Reason::kInvalidRequest));
}

TEST_P(DeviceContractTest, ThreadsShareADevice) {
  std::vector<std::thread> threads;
  for (int number = 0; number < 4; ++number) {
    threads.emplace_back([this, number] {
      const AlignedBuffer written = Pattern(4096, number);
      AlignedBuffer read(4096);
      for (uint64_t round = 0; round < 16; ++round) {
        const uint64_t offset = (round * 4 + static_cast<uint64_t>(number)) * 4096;
        EXPECT_THAT(device_->Write(offset, written.span()), IsOk());
        EXPECT_THAT(device_->Read(offset, read.span()), IsOk());
        EXPECT_TRUE(Equal(read.span(), written.span()));
      }
      EXPECT_THAT(device_->Flush(), IsOk());
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Of those that can be opened so: FaultyDevice has no such mode.
class ReadOnlyDeviceTest : public testing::TestWithParam<Implementation> {};

TEST_P(ReadOnlyDeviceTest, RefusesWritesAndFlushes) {
  TempDir dir;
  const std::unique_ptr<BlockDevice> device = GetParam().open(dir, /*read_only=*/true);
  ASSERT_NE(device, nullptr);
  EXPECT_TRUE(device->read_only());
  AlignedBuffer buffer(4096);
  EXPECT_THAT(device->Read(0, buffer.span()), IsOk());
  EXPECT_THAT(device->Write(0, buffer.span()), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(device->Flush(), CauseIs(EROFS));
}

std::string NameOf(const testing::TestParamInfo<Implementation>& instance) { return instance.param.name; }

INSTANTIATE_TEST_SUITE_P(All, DeviceContractTest, testing::ValuesIn(Implementations()), NameOf);
INSTANTIATE_TEST_SUITE_P(All, ReadOnlyDeviceTest, testing::Values(Implementations()[0], Implementations()[1]), NameOf);

}  // namespace
}  // namespace dmcached
