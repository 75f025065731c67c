// What an open cache says of itself: values, copied out under its lock.
#ifndef DMCACHED_CORE_CACHE_CACHE_INFO_H_
#define DMCACHED_CORE_CACHE_CACHE_INFO_H_

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/format/superblock.h"

namespace dmcached {

enum class DirtyTracking { kExact, kConservative };

enum class CacheState { kOpen, kReadOnly, kFailed, kNeedsCheck, kOpening, kClosing };

struct CacheInfo {
  std::string name;
  CacheState state = CacheState::kOpening;
  std::string metadata_path;
  std::string fast_path;    // Empty: none.
  std::string origin_path;  // Empty: none.
  Superblock superblock;    // What the next commit writes; its clean_shutdown is the bit on the medium.
  DirtyTracking dirty_tracking = DirtyTracking::kExact;
  uint32_t mapped_blocks = 0;
  uint32_t dirty_blocks = 0;
  uint32_t free_blocks = 0;  // Neither mapped in any state nor reserved.
  uint32_t reserved_blocks = 0;
  uint64_t discarded_blocks = 0;  // Dblocks.
  uint64_t metadata_device_bytes = 0;
  uint64_t metadata_blocks = 0;
  uint64_t free_metadata_blocks = 0;  // Unused in the open transaction.
  uint64_t held_metadata_blocks = 0;  // Unused there, but used by the committing or durable state or a snapshot.
  bool direct_io = false;
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
  bool uncommitted_changes = false;
  std::string last_error;
  bool must_assume_all_dirty = false;
  Sectors origin_size;  // 0: unknown.
  Sectors fast_size;    // 0: no fast device.
  uint32_t snapshots = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_INFO_H_
