// Finds every oblock that is mapped more than once, in at most 8 bytes per mapping.
//
// Where two bits per oblock of the origin need no more than 8 bytes per mapping, those; else the oblocks, sorted. Which
// cblocks they belong to is found by a second walk, which only a damaged image needs.
#ifndef DMCACHED_CORE_MAINTENANCE_DUPLICATE_ORIGINS_H_
#define DMCACHED_CORE_MAINTENANCE_DUPLICATE_ORIGINS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/base/ids.h"

namespace dmcached {

class DuplicateOrigins {  // Not thread-safe.
 public:
  // `oblock_end`: where the origin is thought to end; `mappings`: at most so many are added.
  DuplicateOrigins(uint64_t oblock_end, uint64_t mappings) : mappings_(mappings) {
    if (oblock_end / 4 > mappings * sizeof(uint64_t)) return;
    seen_.resize(CeilDiv(oblock_end, 64));
    twice_.resize(seen_.size());
  }

  void Add(Oblock oblock) {
    const uint64_t word = oblock.value() / 64;
    if (word < seen_.size()) {
      const uint64_t bit = uint64_t{1} << (oblock.value() % 64);
      if ((seen_[word] & bit) != 0) {
        twice_[word] |= bit;
        any_ = true;
      }
      seen_[word] |= bit;
      return;
    }
    if (collected_.capacity() == 0) collected_.reserve(mappings_);  // Once: growing would need half as much again.
    collected_.push_back(oblock.value());
  }

  // After the last Add.
  void Finish() {
    std::sort(collected_.begin(), collected_.end());
    // Keeps one of each that is there twice.
    size_t kept = 0;
    for (size_t i = 1; i < collected_.size(); ++i) {
      if (collected_[i] != collected_[i - 1] || (kept > 0 && collected_[kept - 1] == collected_[i])) continue;
      collected_[kept++] = collected_[i];
    }
    collected_.resize(kept);
    any_ = any_ || kept > 0;
  }

  // After Finish.
  bool any() const { return any_; }
  bool Contains(Oblock oblock) const {
    const uint64_t word = oblock.value() / 64;
    if (word < seen_.size()) return (twice_[word] >> (oblock.value() % 64) & 1) != 0;
    return std::binary_search(collected_.begin(), collected_.end(), oblock.value());
  }

 private:
  uint64_t mappings_;
  std::vector<uint64_t> seen_;
  std::vector<uint64_t> twice_;
  std::vector<uint64_t> collected_;
  bool any_ = false;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_DUPLICATE_ORIGINS_H_
