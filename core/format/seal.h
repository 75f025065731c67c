// Checksum and self-reference of metadata blocks: filled in before a write, checked after a read.
#ifndef DMCACHED_CORE_FORMAT_SEAL_H_
#define DMCACHED_CORE_FORMAT_SEAL_H_

#include <cstddef>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "core/base/ids.h"

namespace dmcached {

enum class BlockType { kSuperblock, kBtreeNode, kArrayBlock, kSpaceMapIndex, kSpaceMapBitmap };

// "btree node", "array block", ...
const char* BlockTypeName(BlockType type);

// Stores `location` and the checksum in a block of 4096 bytes.
void SealBlock(BlockType type, MetadataBlock location, std::span<std::byte> block);

// Errors: kDataLoss ENOTBLK (another block's location), EILSEQ (checksum); the message names type and block.
absl::Status CheckBlock(BlockType type, MetadataBlock location, std::span<const std::byte> block);

// The type of the block that CheckBlock refused with `status`, also after context was added; nothing for other errors.
std::optional<BlockType> FailedBlockType(const absl::Status& status);

}  // namespace dmcached

#endif  // DMCACHED_CORE_FORMAT_SEAL_H_
