// What one cache image holds, as plain containers: what a model predicts and what a decoder finds are compared so.
#ifndef DMCACHED_TESTS_SUPPORT_CACHE_CONTENTS_H_
#define DMCACHED_TESTS_SUPPORT_CACHE_CONTENTS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/cache/mutation.h"

namespace dmcached {

struct MappedTo {
  uint64_t oblock = 0;
  bool dirty = false;  // As stored.
  bool operator==(const MappedTo&) const = default;
};

struct CacheContents {
  uint32_t version = 2;
  bool clean_shutdown = false;
  bool needs_check = false;
  uint32_t data_block_size = 0;  // Sectors.
  uint32_t cache_blocks = 0;
  std::map<uint32_t, MappedTo> mappings;       // By cblock.
  std::optional<std::vector<uint32_t>> hints;  // By cblock, mapped or not; nothing: no hint array.
  uint64_t discard_block_size = 0;             // Sectors.
  std::vector<bool> discards;                  // By dblock.
  std::string policy_name;
  std::array<uint32_t, 3> policy_version{};
  uint32_t policy_hint_size = 0;
  Stats stats;
  bool operator==(const CacheContents&) const = default;
};

// What differs, in words, the first of many items only; empty if nothing does.
std::string Difference(const CacheContents& found, const CacheContents& expected);

// The set bits as half-open ranges.
std::vector<std::pair<uint64_t, uint64_t>> RangesOf(const std::vector<bool>& bits);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_CACHE_CONTENTS_H_
