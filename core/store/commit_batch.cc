#include "core/store/commit_batch.h"

#include <algorithm>
#include <cstring>

#include "core/base/status.h"
#include "core/store/run_writer.h"

namespace dmcached {
namespace {

absl::Status CheckStop(const std::atomic<bool>& stop) {
  if (!stop.load()) return absl::OkStatus();
  return MakeError(Reason::kOutcomeUnknown, "the commit was stopped because the cache failed");
}

}  // namespace

absl::Status CommitBatch::WriteBlocks(BlockDevice& device, const std::atomic<bool>& stop) {
  std::sort(writes_.begin(), writes_.end(),
            [](const PendingWrite& a, const PendingWrite& b) { return a.location < b.location; });
  RunWriter writer(device, writes_.size());
  for (const PendingWrite& write : writes_) {
    DMCACHED_RETURN_IF_ERROR(CheckStop(stop));
    DMCACHED_ASSIGN_OR_RETURN(const std::span<std::byte> bytes, writer.Next(write.location));
    std::memcpy(bytes.data(), write.data, bytes.size());
    writer.Seal(write.type);
  }
  return writer.Finish();
}

absl::Status CommitBatch::Write(BlockDevice& device, const std::atomic<bool>& stop) {
  if (!writes_.empty()) {
    DMCACHED_RETURN_IF_ERROR(WriteBlocks(device, stop));
  }
  DMCACHED_RETURN_IF_ERROR(CheckStop(stop));
  // Also when this transaction wrote no block: block 0 must never overtake an earlier write.
  DMCACHED_RETURN_IF_ERROR(device.Flush());
  DMCACHED_RETURN_IF_ERROR(CheckStop(stop));
  AlignedBuffer superblock(kMetadataBlockBytes);
  PackSuperblock(superblock_, superblock.span());
  superblock_started_ = true;
  DMCACHED_RETURN_IF_ERROR(device.Write(0, superblock.span()));
  DMCACHED_RETURN_IF_ERROR(CheckStop(stop));
  return device.Flush();
}

}  // namespace dmcached
