#include "tests/bench/raw_read.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "core/base/aligned_buffer.h"
#include "core/base/crc32c.h"
#include "core/base/ids.h"
#include "core/format/layout.h"
#include "tests/bench/loaded_cache.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kRequestBytes = 1 << 20;

// Takes requests until none is left.
void Read(BlockDevice& device, uint64_t bytes, std::atomic<uint64_t>& next, std::atomic<uint64_t>& sum) {
  AlignedBuffer buffer(kRequestBytes);
  for (uint64_t at = next.fetch_add(kRequestBytes); at < bytes; at = next.fetch_add(kRequestBytes)) {
    const auto part = buffer.span().first(std::min(kRequestBytes, bytes - at));
    const absl::Status read = device.Read(at, part);
    if (!read.ok()) GiveUp("yardstick: " + read.ToString());
    for (uint64_t block = 0; block < part.size(); block += kMetadataBlockBytes) {
      sum += RawCrc32c(part.subspan(block, kMetadataBlockBytes));
    }
  }
}

}  // namespace

double ReadAndChecksum(const std::string& path, uint64_t bytes, bool cached) {
  const std::shared_ptr<BlockDevice> device = OpenBenchDevice(path, cached);
  std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> sum{0};  // So that no checksum can be left out.
  const double begin = Now();
  std::thread other([&] { Read(*device, bytes, next, sum); });
  Read(*device, bytes, next, sum);
  other.join();
  const double end = Now();
  return end - begin;
}

}  // namespace dmcached::bench
