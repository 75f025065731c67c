// What the stages of one check share.
#ifndef DMCACHED_CORE_MAINTENANCE_CHECK_CONTEXT_H_
#define DMCACHED_CORE_MAINTENANCE_CHECK_CONTEXT_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "core/base/ids.h"
#include "core/format/layout.h"
#include "core/format/superblock.h"
#include "core/maintenance/finding_collector.h"
#include "core/maintenance/reach_map.h"
#include "core/maintenance/tolerant_reader.h"
#include "core/store/packed_array.h"

namespace dmcached {

struct CheckContext {
  const Superblock& superblock;
  ReachMap& reach;
  FindingCollector& findings;
  TolerantReader& reader;
};

// One array as the superblock describes it.
struct ArrayShape {
  ArrayKind kind = ArrayKind::kMappings;
  MetadataBlock root;
  uint64_t entries = 0;  // That it must have.
  uint32_t cache_blocks = 0;

  uint64_t per_block() const { return PackedArray::PerBlock(kind); }
  uint64_t blocks() const { return CeilDiv(entries, per_block()); }
  uint64_t EntriesIn(uint64_t block) const { return std::min(per_block(), entries - block * per_block()); }
  // How bad it is when a part of the array is lost.
  Severity severity() const {
    return kind == ArrayKind::kMappings || kind == ArrayKind::kDirty ? Severity::kFatal : Severity::kRepairable;
  }
  // The cblocks of entries [begin, end); nothing if these are not about cblocks.
  std::optional<CblockRange> CblocksOf(uint64_t begin, uint64_t end) const {
    if (kind == ArrayKind::kDiscards) return std::nullopt;
    const uint64_t each = kind == ArrayKind::kDirty ? kBitsPerWord : 1;
    const auto cut = [&](uint64_t entry) {
      return Cblock(static_cast<uint32_t>(std::min<uint64_t>(cache_blocks, std::min(entry, entries) * each)));
    };
    return CblockRange{cut(begin), cut(end)};
  }
  std::optional<CblockRange> CblocksOfBlocks(uint64_t begin, uint64_t end) const {
    return CblocksOf(std::min(begin, blocks()) * per_block(), std::min(end, blocks()) * per_block());
  }
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_CHECK_CONTEXT_H_
