#include "tests/bench/committer.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/cache/mutation.h"
#include "core/format/layout.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kMostBytes = 16 << 20;  // Of a commit.

}  // namespace

Committer::Committer(Run& run, uint32_t version, uint32_t cblocks, uint64_t device_bytes, uint64_t block_cache_bytes)
    : device_(OpenBenchDevice(run.NewFile("metadata", device_bytes))),
      cache_(device_, version, cblocks, cblocks, block_cache_bytes),
      order_(cblocks) {
  std::iota(order_.begin(), order_.end(), 0);
  std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
}

double Committer::Commit() {
  cache_.Mark(Next());
  const double begin = Now();
  absl::StatusOr<std::unique_ptr<CommitBatch>> batch = cache_.metadata().Prepare(/*clean=*/false);
  if (!batch.ok()) GiveUp("prepare: " + batch.status().ToString());
  const double prepared = Now();
  const absl::Status written = (*batch)->Write(*device_, never_, &helper_);
  if (!written.ok()) GiveUp("write: " + written.ToString());
  bytes_ = (*batch)->written_blocks() * kMetadataBlockBytes;
  const double flushed = Now();
  cache_.metadata().Finish(*std::move(batch));
  const double end = Now();
  exclusive_.push_back(prepared - begin + (end - flushed));
  return end - begin;
}

// Marks that change something.
std::span<const uint32_t> Committer::Next() {
  const size_t cblocks = order_.size();
  if (used_ + kMarks > cblocks) {
    for (size_t begin = 0; begin < cblocks; begin += kMaxItemsPerRequest) {
      std::vector<uint32_t> items(std::min<size_t>(kMaxItemsPerRequest, cblocks - begin));
      std::iota(items.begin(), items.end(), static_cast<uint32_t>(begin));
      std::vector<uint64_t> oblocks;
      for (const uint32_t cblock : items) oblocks.push_back(cache_.OblockOf(cblock));
      cache_.Clear(items, oblocks);
    }
    cache_.Commit();
    used_ = 0;
  }
  used_ += kMarks;
  return std::span(order_).subspan(used_ - kMarks, kMarks);
}

ContiguousWriter::ContiguousWriter(Run& run, uint64_t device_bytes)
    : device_(OpenBenchDevice(run.NewFile("plain", device_bytes))), bytes_(kMostBytes) {}

uint64_t ContiguousWriter::RandomOffset() {
  const uint64_t half = device_->size_bytes() / 2 / kMetadataBlockBytes;
  return kMetadataBlockBytes * (1 + random_() % half);
}

double ContiguousWriter::WriteUnderOneFlush(uint64_t bytes) {
  const uint64_t offset = RandomOffset();
  const auto all = std::as_const(bytes_).span().first(bytes);
  const double begin = Now();
  absl::Status status = device_->Write(0, all.last(kMetadataBlockBytes));
  if (status.ok()) status = device_->Write(offset, all.first(bytes - kMetadataBlockBytes));
  if (status.ok()) status = device_->Flush();
  if (!status.ok()) GiveUp("yardstick: " + status.ToString());
  return Now() - begin;
}

double ContiguousWriter::Write(uint64_t bytes) {
  const uint64_t offset = RandomOffset();
  const auto all = std::as_const(bytes_).span().first(bytes);
  const size_t body = bytes - kMetadataBlockBytes;
  const double begin = Now();
  absl::Status status = device_->Write(offset, all.first(body));
  if (status.ok()) status = device_->Flush();
  if (status.ok()) status = device_->Write(0, all.last(kMetadataBlockBytes));
  if (status.ok()) status = device_->Flush();
  if (!status.ok()) GiveUp("yardstick: " + status.ToString());
  return Now() - begin;
}

}  // namespace dmcached::bench
