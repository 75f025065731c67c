// A cache, its superblock, and what the calls of its life take and give.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_CACHE_TYPES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_CACHE_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dmcached/basic_types.h"

namespace dmcached::client {
struct ServerInfo {
  std::string version = {};
  std::string revision = {};
  std::vector<uint32_t> metadata_versions = {};
  uint32_t max_items_per_message = 0;
  uint32_t max_message_bytes = 0;
  uint32_t max_reservation_ttl_ms = 0;
  uint32_t commit_interval_ms = 0;
  uint64_t block_cache_bytes = 0;
  uint32_t max_snapshots = 0;
};

struct Superblock {
  uint32_t version = 0;
  bool clean_shutdown = false;
  bool needs_check = false;
  uint32_t data_block_size_sectors = 0;
  uint32_t cache_blocks = 0;
  std::string policy_name = {};
  PolicyVersion policy_version = {};
  uint32_t policy_hint_size = 0;  // Bytes.
  uint64_t discard_block_size_sectors = 0;
  uint64_t discard_blocks = 0;
  uint64_t read_hits = 0;
  uint64_t read_misses = 0;
  uint64_t write_hits = 0;
  uint64_t write_misses = 0;
  std::string identity = {};
  uint64_t metadata_blocks = 0;
  uint64_t free_metadata_blocks = 0;
  uint32_t compat_flags = 0;
  uint32_t compat_ro_flags = 0;
  uint32_t incompat_flags = 0;
  uint32_t flags = 0;
  uint64_t mapping_root = 0;
  uint64_t hint_root = 0;
  uint64_t discard_root = 0;
  uint64_t dirty_root = 0;
  uint32_t metadata_block_size_sectors = 0;
};

struct ProbeResult {
  bool formatted = false;
  Superblock superblock = {};  // Only if formatted.
  uint64_t device_bytes = 0;
};

struct PlanRequest {
  uint64_t origin_size_sectors = 0;
  uint64_t fast_size_sectors = 0;
  uint32_t data_block_size_sectors = 0;  // 0: the service chooses.
};

struct PlanResult {
  uint32_t data_block_size_sectors = 0;
  uint32_t cache_blocks = 0;
  uint64_t origin_blocks = 0;
  uint64_t discard_block_size_sectors = 0;
  uint64_t discard_blocks = 0;
  uint64_t metadata_bytes = 0;
  uint64_t recommended_metadata_bytes = 0;
  uint64_t memory_bytes = 0;
  std::vector<std::string> warnings = {};
};

struct CreateRequest {
  std::string name = {};
  std::string metadata_path = {};
  uint32_t data_block_size_sectors = 0;
  std::optional<uint32_t> cache_blocks = {};
  std::optional<uint64_t> origin_size_sectors = {};
  std::string fast_path = {};
  std::string origin_path = {};
  uint32_t metadata_version = 0;  // 0: the service's default, 2.
  std::string policy_name = {};
  std::string identity = {};
  DirtyTracking dirty_tracking = DirtyTracking::kDefault;
  bool force = false;
  bool validate_only = false;  // The answer then holds no cache.
};

struct OpenRequest {
  std::string name = {};
  std::string metadata_path = {};
  bool read_only = false;
  bool assume_unclean = false;
  bool old_callers_gone = false;
  DirtyTracking dirty_tracking = DirtyTracking::kDefault;
  std::string fast_path = {};
  std::string origin_path = {};
  std::string expected_identity = {};
  uint32_t expected_block_size_sectors = 0;
  std::optional<uint64_t> origin_size_sectors = {};
  bool recover = false;
};

struct CloseRequest {
  std::string name = {};
  bool require_no_dirty = false;
  bool discard_uncommitted = false;
};

struct DeleteRequest {
  std::string name = {};
  bool wipe = false;
  bool discard_dirty = false;
};

struct ResizeRequest {
  std::optional<uint32_t> cache_blocks = {};
  std::optional<uint64_t> origin_size_sectors = {};
};

struct Cache {
  std::string name = {};
  CacheState state = CacheState::kUnknown;
  std::string metadata_path = {};
  std::string fast_path = {};
  std::string origin_path = {};
  Superblock superblock = {};
  DirtyTracking dirty_tracking = DirtyTracking::kDefault;
  uint32_t mapped_blocks = 0;
  uint32_t dirty_blocks = 0;
  uint32_t free_blocks = 0;
  uint64_t discarded_blocks = 0;
  uint64_t metadata_device_bytes = 0;
  bool direct_io = false;
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
  bool uncommitted_changes = false;
  std::string last_error = {};
  bool must_assume_all_dirty = false;
  uint64_t origin_size_sectors = 0;  // 0: unknown.
  uint32_t snapshots = 0;
  uint32_t reserved_blocks = 0;
  uint64_t held_metadata_blocks = 0;
  uint64_t fast_size_sectors = 0;  // 0: no fast device.
};

struct CachePage {
  std::vector<Cache> caches = {};
  std::string next_page_token = {};  // Empty: that was all.
};

struct OpenResult {
  Cache cache = {};
  bool adopted = false;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_CACHE_TYPES_H_
