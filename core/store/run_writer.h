// Writes sealed metadata blocks in order of location, neighbours in one request, from an aligned staging buffer.
#ifndef DMCACHED_CORE_STORE_RUN_WRITER_H_
#define DMCACHED_CORE_STORE_RUN_WRITER_H_

#include <algorithm>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/aligned_buffer.h"
#include "core/base/ids.h"
#include "core/device/block_device.h"
#include "core/format/seal.h"

namespace dmcached {

class RunWriter {  // Not thread-safe.
 public:
  // `blocks`: how many will be written; bounds the memory.
  RunWriter(BlockDevice& device, uint64_t blocks)
      : device_(device), run_blocks_(std::min(kRunBlocks, blocks)), staging_(run_blocks_ * kMetadataBlockBytes) {}

  // Room for the next block, to be filled (it holds old bytes) and sealed with Seal before the next call.  Locations
  // ascend.  Errors: those of BlockDevice::WriteV, of the run before.
  absl::StatusOr<std::span<std::byte>> Next(MetadataBlock location);
  void Seal(BlockType type) { SealBlock(type, MetadataBlock(first_.value() + blocks_ - 1), Block(blocks_ - 1)); }
  // Writes what is left.
  absl::Status Finish();

 private:
  static constexpr uint64_t kRunBlocks = 256;  // 1 MiB.

  std::span<std::byte> Block(uint64_t i) {
    return staging_.span().subspan(i * kMetadataBlockBytes, kMetadataBlockBytes);
  }

  BlockDevice& device_;
  const uint64_t run_blocks_;
  AlignedBuffer staging_;
  MetadataBlock first_;
  uint64_t blocks_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_RUN_WRITER_H_
