// What callers ask of one cache: mutations as columns, their conditions and results.
//
// Columns are spans into the caller's memory, which stays valid until the request is answered: a message is applied
// without a copy.
#ifndef DMCACHED_CORE_CACHE_MUTATION_H_
#define DMCACHED_CORE_CACHE_MUTATION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"

namespace dmcached {

inline constexpr size_t kMaxItemsPerRequest = 65536;

template <typename Number>
struct HalfOpenRange {
  Number begin;
  Number end;  // Exclusive; begin <= end.
};
using OblockRange = HalfOpenRange<Oblock>;
using CblockRange = HalfOpenRange<Cblock>;
using DblockRange = HalfOpenRange<Dblock>;

struct PolicyVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  bool operator==(const PolicyVersion&) const = default;
};

struct Stats {  // u32 on disk; they wrap.
  uint32_t read_hits = 0;
  uint32_t read_misses = 0;
  uint32_t write_hits = 0;
  uint32_t write_misses = 0;
  bool operator==(const Stats&) const = default;
};

struct InsertMappings {
  std::span<const uint32_t> cblocks;
  std::span<const uint64_t> oblocks;
  std::span<const bool> dirty;  // As many, or none (all clean).
  std::optional<uint64_t> reservation;
};
struct RemoveMappings {
  std::span<const uint32_t> cblocks;
  std::span<const uint64_t> oblocks;
  std::optional<OblockRange> oblock_range;  // Instead of pairs.
  bool discard_dirty = false;
};
struct MarkDirty {
  std::span<const uint32_t> cblocks;
};
struct ClearDirty {
  std::span<const uint32_t> cblocks;
  std::span<const uint64_t> oblocks;
};
struct SetDiscards {
  std::span<const DblockRange> ranges;
  bool discard_dirty = false;
};
struct ClearDiscards {
  std::span<const DblockRange> ranges;
};
struct BeginHints {
  std::string policy_name;
  PolicyVersion policy_version;
  uint32_t hint_size_bytes = 4;
};
struct SaveHints {
  std::span<const uint32_t> cblocks;
  std::span<const uint32_t> hints;
};
struct SetStats {
  Stats stats;
};
struct Resize {
  std::optional<uint32_t> cache_blocks;
  std::optional<Sectors> origin_size;
};

using Mutation = std::variant<InsertMappings, RemoveMappings, MarkDirty, ClearDirty, SetDiscards, ClearDiscards,
                              BeginHints, SaveHints, SetStats, Resize>;

struct Conditions {
  std::string request_id;                     // Empty: none.
  std::optional<uint64_t> incarnation;        // Must be the cache's, else INCARNATION_CHANGED.
  std::optional<uint64_t> expected_revision;  // Must be the cache's, else REVISION_MISMATCH.
  bool durable = false;                       // Answer when durable whatever the rules say.
  // Answer when applied whatever the rules say (Mutate acknowledges durability by WhenDurable).  A refusal that states
  // a fact still waits until that fact is durable.
  bool answer_when_applied = false;
  // Asked before the mutation is applied, from any thread: true refuses it as CANCELLED.  Null: never.
  std::function<bool()> abandoned;
};

struct MutationResult {
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
  uint32_t removed_count = 0;  // RemoveMappings.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_MUTATION_H_
