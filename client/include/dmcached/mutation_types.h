// Batches of mutations and what becomes of them; look-ups and lists.
// Columns are spans into the caller's memory; a call keeps none of them after it has returned.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_MUTATION_TYPES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_MUTATION_TYPES_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "dmcached/basic_types.h"

namespace dmcached::client {
struct MutationResult {
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
  std::optional<uint32_t> removed_count = {};  // Of a RemoveBatch.
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

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_MUTATION_TYPES_H_
