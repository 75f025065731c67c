#include "core/cache/cache_counters.h"

#include <optional>

#include "core/base/check.h"
#include "core/format/seal.h"

namespace dmcached {
namespace {

BlockKind KindOf(BlockType type) {
  switch (type) {
    case BlockType::kSuperblock:
      return BlockKind::kSuperblock;
    case BlockType::kBtreeNode:
      return BlockKind::kIndex;
    case BlockType::kArrayBlock:
      return BlockKind::kArray;
    case BlockType::kSpaceMapIndex:
      return BlockKind::kSpaceMapIndex;
    case BlockType::kSpaceMapBitmap:
      return BlockKind::kBitmap;
  }
  DMCACHED_UNREACHABLE("unknown block type");
}

}  // namespace

void CountFailedCheck(const absl::Status& status, CacheCounters& counters) {
  const std::optional<BlockType> type = FailedBlockType(status);
  if (!type.has_value()) return;
  counters.checksum_errors[static_cast<size_t>(KindOf(*type))].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace dmcached
