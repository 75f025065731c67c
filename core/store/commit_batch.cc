#include "core/store/commit_batch.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/parallel.h"
#include "core/base/status.h"
#include "core/store/run_writer.h"

namespace dmcached {
namespace {

// Blocks of a part that are next to each other on the device, sealed where they lie in memory.
class InPlaceRun {
 public:
  explicit InPlaceRun(BlockDevice& device) : device_(device) {}

  // Locations ascend.  Errors: those of the run before, which is written when the next one begins.
  absl::Status Add(const PendingWrite& write) {
    if (write.location.value() != first_.value() + blocks_.size()) {
      DMCACHED_RETURN_IF_ERROR(Finish());
      first_ = write.location;
    }
    const std::span<std::byte> block(write.data, kMetadataBlockBytes);
    SealBlock(write.type, write.location, block);
    blocks_.emplace_back(block);
    return absl::OkStatus();
  }
  // Writes what is left.
  absl::Status Finish() {
    if (blocks_.empty()) return absl::OkStatus();
    const absl::Status written = device_.WriteV(BlockOffsetBytes(first_), blocks_);
    blocks_.clear();
    return written;
  }

 private:
  BlockDevice& device_;
  MetadataBlock first_;
  std::vector<std::span<const std::byte>> blocks_;
};

absl::Status CheckStop(const std::atomic<bool>& stop) {
  if (!stop.load()) return absl::OkStatus();
  return MakeError(Reason::kOutcomeUnknown, "the commit was stopped because the cache failed");
}

}  // namespace

absl::Status CommitBatch::WriteBlocks(BlockDevice& device, const std::atomic<bool>& stop, Executor* helper) {
  std::sort(writes_.begin(), writes_.end(),
            [](const PendingWrite& a, const PendingWrite& b) { return a.location < b.location; });
  if (!large()) return WriteCopies(device, stop);
  std::array<absl::Status, 2> results;
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  RunParallel(helper, results.size(), [&](size_t lane) {
    for (size_t begin = next.fetch_add(kPartBlocks); begin < writes_.size() && !failed;
         begin = next.fetch_add(kPartBlocks)) {
      const size_t blocks = std::min(kPartBlocks, writes_.size() - begin);
      results[lane] = WriteInPlace(std::span(writes_).subspan(begin, blocks), device, stop);
      if (!results[lane].ok()) failed = true;
    }
  });
  return results[0].ok() ? results[1] : results[0];
}

absl::Status CommitBatch::WriteCopies(BlockDevice& device, const std::atomic<bool>& stop) {
  RunWriter writer(device, writes_.size());
  for (const PendingWrite& write : writes_) {
    DMCACHED_RETURN_IF_ERROR(CheckStop(stop));
    DMCACHED_ASSIGN_OR_RETURN(const std::span<std::byte> bytes, writer.Next(write.location));
    std::memcpy(bytes.data(), write.data, bytes.size());
    writer.Seal(write.type);
  }
  return writer.Finish();
}

absl::Status CommitBatch::WriteInPlace(std::span<const PendingWrite> part, BlockDevice& device,
                                       const std::atomic<bool>& stop) {
  InPlaceRun run(device);
  for (const PendingWrite& write : part) {
    DMCACHED_RETURN_IF_ERROR(CheckStop(stop));
    DMCACHED_RETURN_IF_ERROR(run.Add(write));
  }
  return run.Finish();
}

absl::Status CommitBatch::Write(BlockDevice& device, const std::atomic<bool>& stop, Executor* helper) {
  if (!writes_.empty()) {
    DMCACHED_RETURN_IF_ERROR(WriteBlocks(device, stop, helper));
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
