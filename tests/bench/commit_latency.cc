// A commit of 1000 random marks beside the same bytes, written contiguously with the same two flushes.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/aligned_buffer.h"
#include "tests/bench/cases.h"
#include "tests/bench/loaded_cache.h"

namespace dmcached::bench {
namespace {

constexpr uint32_t kCblocks = 1000000;
constexpr size_t kMarks = 1000;
constexpr uint64_t kDeviceBytes = 128 << 20;

// Commits one after the other, each of marks that change something.
class Committer {
 public:
  Committer(Run& run, uint32_t version)
      : device_(OpenBenchDevice(run.NewFile("metadata", kDeviceBytes))),
        cache_(device_, version, kCblocks, kCblocks, 256 << 20),
        order_(kCblocks) {
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
  }

  // The seconds of one commit; `exclusive_` and `bytes_` are about it.
  double Commit() {
    cache_.Mark(Next());
    const double begin = Now();
    absl::StatusOr<std::unique_ptr<CommitBatch>> batch = cache_.metadata().Prepare(/*clean=*/false);
    if (!batch.ok()) GiveUp("prepare: " + batch.status().ToString());
    const double prepared = Now();
    const absl::Status written = (*batch)->Write(*device_, never_);
    if (!written.ok()) GiveUp("write: " + written.ToString());
    bytes_ = (*batch)->written_blocks() * kMetadataBlockBytes;
    const double flushed = Now();
    cache_.metadata().Finish(*std::move(batch));
    const double end = Now();
    exclusive_.push_back(prepared - begin + (end - flushed));
    return end - begin;
  }
  uint64_t bytes() const { return bytes_; }
  const std::vector<double>& exclusive() const { return exclusive_; }

 private:
  std::span<const uint32_t> Next() {
    if (used_ + kMarks > kCblocks) {
      for (uint32_t begin = 0; begin < kCblocks; begin += kMaxItemsPerRequest) {
        std::vector<uint32_t> cblocks(std::min<size_t>(kMaxItemsPerRequest, kCblocks - begin));
        std::iota(cblocks.begin(), cblocks.end(), begin);
        std::vector<uint64_t> oblocks;
        for (const uint32_t cblock : cblocks) oblocks.push_back(cache_.OblockOf(cblock));
        cache_.Clear(cblocks, oblocks);
      }
      cache_.Commit();
      used_ = 0;
    }
    used_ += kMarks;
    return std::span(order_).subspan(used_ - kMarks, kMarks);
  }

  const std::shared_ptr<BlockDevice> device_;
  LoadedCache cache_;
  std::vector<uint32_t> order_;
  size_t used_ = 0;
  uint64_t bytes_ = 0;
  std::vector<double> exclusive_;
  std::atomic<bool> never_{false};
};

// Seconds to write `bytes`, the last block after a flush, and to flush again.
double WriteContiguously(BlockDevice& device, std::span<const std::byte> bytes, uint64_t offset) {
  const size_t body = bytes.size() - kMetadataBlockBytes;
  const double begin = Now();
  absl::Status status = device.Write(offset, bytes.first(body));
  if (status.ok()) status = device.Flush();
  if (status.ok()) status = device.Write(0, bytes.last(kMetadataBlockBytes));
  if (status.ok()) status = device.Flush();
  if (!status.ok()) GiveUp("yardstick: " + status.ToString());
  return Now() - begin;
}

void OneVersion(Run& run, uint32_t version, double bound) {
  Committer committer(run, version);
  for (int i = 0; i < 20; ++i) committer.Commit();
  const std::shared_ptr<BlockDevice> plain = OpenBenchDevice(run.NewFile("plain", kDeviceBytes));
  AlignedBuffer bytes(16 << 20);
  std::mt19937_64 random(2);
  const uint64_t half = kDeviceBytes / 2;
  const Rounds rounds(run.Rounds(201) * (run.quick() ? 20 : 1),
                      {[&] { return committer.Commit() * 1e6; },
                       [&] {
                         // Somewhere else each time, as new blocks are.
                         const uint64_t at = kMetadataBlockBytes * (1 + random() % (half / kMetadataBlockBytes));
                         return WriteContiguously(*plain, bytes.span().first(committer.bytes()), at) * 1e6;
                       }});
  run.Compare(absl::StrCat("format ", version, ", 1000 marks"), rounds, 0, 1, "us", "the same bytes", AtMost(bound));
  run.Add(absl::StrCat("format ", version, ", Prepare + Finish, p99"), Quantile(committer.exclusive(), 0.99) * 1e3,
          "ms", AtMost(0.5));
}

}  // namespace

void CommitLatency(Run& run) {
  OneVersion(run, 2, 1.1);
  OneVersion(run, 1, 1.4);
}

}  // namespace dmcached::bench
