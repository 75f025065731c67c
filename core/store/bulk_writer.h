// Writes fresh array blocks that nobody reads yet (grow, adoption, a rebuilt bitset) at once, without caching them.
//
// The blocks are unused in every state until a transaction refers to them, and that transaction's first flush covers
// them, so they may be written at any time before.
#ifndef DMCACHED_CORE_STORE_BULK_WRITER_H_
#define DMCACHED_CORE_STORE_BULK_WRITER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "core/base/aligned_buffer.h"
#include "core/base/ids.h"
#include "core/device/block_device.h"
#include "core/format/seal.h"

namespace dmcached {

// A block to be sealed and written.  Without `contents` it is an array block of zeros with this header.
struct BulkBlock {
  MetadataBlock location;
  BlockType type = BlockType::kArrayBlock;
  uint32_t value_size = 8;
  uint32_t entries = 0;
  std::shared_ptr<AlignedBuffer> contents;
};

// Seals and writes the blocks, coalescing neighbours.  Errors: kInternal EIO, kResourceExhausted ENOSPC.
absl::Status WriteBulk(BlockDevice& device, std::vector<BulkBlock>& blocks);

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_BULK_WRITER_H_
