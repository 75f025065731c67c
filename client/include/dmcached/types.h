// Plain values of the dmcached API: what the rpcs take and give, without a gRPC or protobuf type.
//
// Numbers: a cblock is the index of a cache block on the fast device, an oblock that of an origin block of the same
// size, a dblock that of a discard block.  A sector is 512 bytes, a metadata block 4096 bytes.
// Columns are spans into the caller's memory; a call keeps none of them after it has returned.
// Source of every meaning: proto/dmcached/v1.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_TYPES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_TYPES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace dmcached::client {

// Items in the columns of one message; more are refused with TOO_MANY_ITEMS.
inline constexpr size_t kMaxItemsPerMessage = 65536;

enum class DirtyTracking { kDefault, kExact, kConservative };
enum class CacheState { kUnknown, kOpen, kReadOnly, kFailed, kNeedsCheck, kOpening, kClosing };

struct PolicyVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  bool operator==(const PolicyVersion&) const = default;
};

// Half open: `end` is not part of it.
struct BlockRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  bool operator==(const BlockRange&) const = default;
};

struct Stats {  // 32 bits on disk; they wrap.
  uint32_t read_hits = 0;
  uint32_t read_misses = 0;
  uint32_t write_hits = 0;
  uint32_t write_misses = 0;
  bool operator==(const Stats&) const = default;
};

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

struct MutationResult {
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
  std::optional<uint32_t> removed_count = {};  // Of a RemoveBatch.
};

struct ResizeResult {
  MutationResult result = {};
  Cache cache = {};
};

struct Reservation {
  uint64_t id = 0;
  std::vector<uint32_t> cblocks = {};
  uint32_t ttl_ms = 0;
  uint64_t incarnation = 0;
};

struct InsertBatch {
  std::span<const uint32_t> cblocks = {};
  std::span<const uint64_t> oblocks = {};
  std::span<const uint8_t> dirty = {};  // 0 or 1 each (bytes, so that a vector can hold them), or none: all clean.
  std::optional<uint64_t> reservation = {};
};
struct RemoveBatch {
  std::span<const uint32_t> cblocks = {};
  std::span<const uint64_t> oblocks = {};
  std::optional<BlockRange> oblock_range = {};  // Instead of pairs.
  bool discard_dirty = false;
};
struct MarkDirtyBatch {
  std::span<const uint32_t> cblocks = {};
};
struct ClearDirtyBatch {
  std::span<const uint32_t> cblocks = {};
  std::span<const uint64_t> oblocks = {};
};
struct SetDiscardsBatch {
  std::span<const BlockRange> ranges = {};
  bool discard_dirty = false;
};
struct ClearDiscardsBatch {
  std::span<const BlockRange> ranges = {};
};
struct BeginHintsBatch {
  std::string policy_name = {};
  PolicyVersion policy_version = {};
  uint32_t hint_size_bytes = 4;
};
struct SaveHintsBatch {
  std::span<const uint32_t> cblocks = {};
  std::span<const uint32_t> hints = {};
};
struct SetStatsBatch {
  Stats stats = {};
};

using Batch = std::variant<InsertBatch, RemoveBatch, MarkDirtyBatch, ClearDirtyBatch, SetDiscardsBatch,
                           ClearDiscardsBatch, BeginHintsBatch, SaveHintsBatch, SetStatsBatch>;

struct Mapping {
  uint32_t cblock = 0;
  uint64_t oblock = 0;
  bool dirty = false;                     // What a reader must assume.
  std::optional<bool> dirty_stored = {};  // The bit on disk, where the service sent it.
  std::optional<uint32_t> hint = {};      // Absent when hints are not valid.
  bool operator==(const Mapping&) const = default;
};

// One answer of a look-up: nothing if the block is not mapped.
struct LookupResult {
  std::vector<std::optional<Mapping>> mappings = {};  // In the order asked.
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
};

struct Hint {
  uint32_t cblock = 0;
  uint32_t value = 0;
  bool operator==(const Hint&) const = default;
};

struct ListMappingsRequest {
  bool dirty_only = false;
  std::optional<BlockRange> cblock_range = {};
  std::optional<BlockRange> oblock_range = {};
  std::string cursor = {};       // Of an earlier stream: goes on behind it.
  std::string policy_name = {};  // Empty: the stored one.
  PolicyVersion policy_version = {};
};

struct ListHintsRequest {
  std::string cursor = {};
  std::string policy_name = {};  // Empty: the stored one.
  PolicyVersion policy_version = {};
};

enum class Health { kUnknown, kServing, kNotServing, kServiceUnknown };

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_TYPES_H_
