// Sizes of a cache: limits, discard geometry, and how much metadata and memory it needs.  Pure arithmetic.
//
// Source: core/format/README.md (limits, discard block size); core/README.md (four times the live metadata).
#ifndef DMCACHED_CORE_CACHE_GEOMETRY_H_
#define DMCACHED_CORE_CACHE_GEOMETRY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/format/layout.h"

namespace dmcached {

inline constexpr uint64_t kMaxDiscardBlocks = 16384;

struct DiscardGeometry {
  Sectors block_size;   // 0: no discards.
  uint64_t blocks = 0;  // Bits in the discard bitset.
  bool operator==(const DiscardGeometry&) const = default;
};

// 64 to 2097152 sectors, a multiple of 64.  Errors: kInvalidArgument (INVALID_REQUEST).
absl::Status CheckDataBlockSize(Sectors block_size);

// As the kernel chooses it: the cache block size doubled until at most 16384 discard blocks cover the origin.
// An origin of 0 sectors has no discards.
DiscardGeometry ChooseDiscardGeometry(Sectors origin_size, Sectors data_block_size);

// Metadata blocks in use by a full cache with hints (0: no hints), discards included.  `metadata_blocks` is the size of
// the device, which decides the number of bitmaps.
uint64_t LiveMetadataBlocks(uint32_t version, uint64_t cache_blocks, uint64_t discard_blocks, bool hints,
                            uint64_t metadata_blocks);

struct Plan {
  Sectors data_block_size;
  uint32_t cache_blocks = 0;
  uint64_t origin_blocks = 0;
  DiscardGeometry discards;
  uint64_t metadata_bytes = 0;              // The least that works.
  uint64_t recommended_metadata_bytes = 0;  // Four times the live metadata.
  uint64_t memory_bytes = 0;
  std::vector<std::string> warnings;
};

// `data_block_size` 0: the smallest power of two that keeps the cache at or below 1000000 blocks.
// Errors: kInvalidArgument (INVALID_REQUEST): a size of zero, a bad block size, more blocks than 32 bits hold.
absl::StatusOr<Plan> PlanCache(Sectors origin_size, Sectors fast_size, Sectors data_block_size,
                               uint64_t block_cache_bytes);

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_GEOMETRY_H_
