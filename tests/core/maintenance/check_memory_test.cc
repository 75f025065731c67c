// How much memory a check takes, as the operating system counts it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/device/file_device.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/device_source.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

constexpr uint32_t kCblocks = 4 << 20;
constexpr uint64_t kMetadataBytes = 80 << 20;
// Of the cache's size, so that the origin is far too large to be told by bits.
constexpr uint64_t kOriginFactor = 1 << 16;

constexpr uint32_t kItems = 1 << 16;  // Of an insert.

class SilentSink : public CheckSink {
 public:
  void OnProgress(uint64_t /*done*/, uint64_t /*total*/) override {}
  void OnFinding(const Finding& finding) override { ADD_FAILURE() << finding.message; }
};

std::unique_ptr<BlockDevice> OpenFile(const std::string& path, bool read_only) {
  auto device = OpenFileDevice({.path = path, .read_only = read_only, .cached = read_only}, nullptr);
  EXPECT_THAT(device, IsOk());
  return *std::move(device);
}

void FormatFile(const std::string& path, uint32_t mappings) {
  const Sectors block_size(64);
  const FormatParams params{.data_block_size = block_size,
                            .cache_blocks = kCblocks,
                            .origin_size = Sectors(block_size.value() * kCblocks * kOriginFactor)};
  auto cache = CacheMetadata::Format(OpenFile(path, /*read_only=*/false), params, NewCounters());
  ASSERT_THAT(cache, IsOk());
  std::vector<uint32_t> cblocks(kItems);
  std::vector<uint64_t> oblocks(kItems);
  for (uint32_t begin = 0; begin < mappings; begin += kItems) {
    for (uint32_t i = 0; i < kItems; ++i) {
      cblocks[i] = begin + i;
      oblocks[i] = cblocks[i] * kOriginFactor + i % 7;
    }
    ASSERT_THAT(ApplyNow(**cache, InsertMappings{.cblocks = cblocks, .oblocks = oblocks}), IsOk());
  }
  auto batch = (*cache)->Prepare(/*clean_shutdown=*/true);
  ASSERT_THAT(batch, IsOk());
  ASSERT_THAT((*batch)->Write(*(*cache)->device(), /*stop=*/false), IsOk());
  (*cache)->Finish(*std::move(batch));
}

// The most memory that a process has at a time which does `work` and nothing else.
uint64_t PeakBytes(const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work() ? 0 : 1);
  int status = 0;
  rusage usage{};
  EXPECT_EQ(wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(status, 0);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

uint64_t PeakOfCheck(const std::string& path, uint64_t mappings) {
  return PeakBytes([&] {
    const auto device = OpenFile(path, /*read_only=*/true);
    DeviceSource source(*device);
    SilentSink sink;
    const auto summary = CheckMetadata(source, {}, sink);
    return summary.ok() && summary->sound() && summary->mapped == mappings;
  });
}

TEST(CheckMemoryTest, IsAFixedBudgetAndSixBytesPerMapping) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer takes memory of its own";
#endif
  TempDir folder;
  const std::string empty = folder.CreateFile("empty", kMetadataBytes);
  const std::string full = folder.CreateFile("full", kMetadataBytes);
  FormatFile(empty, 0);
  FormatFile(full, kCblocks);
  const uint64_t before = PeakBytes([] { return true; });
  const uint64_t of_empty = PeakOfCheck(empty, 0);
  const uint64_t of_full = PeakOfCheck(full, kCblocks);
  constexpr uint64_t kFixed = (8 << 20) + kMetadataBytes / kMetadataBlockBytes + kCblocks / 2;
  EXPECT_LE(of_empty, before + kFixed);
  EXPECT_LE(of_full, before + kFixed + uint64_t{kCblocks} * 612 / 100);
}

}  // namespace
}  // namespace dmcached
