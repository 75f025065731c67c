// Finds an item that is twice in one request.
#ifndef DMCACHED_CORE_CACHE_DUPLICATE_FINDER_H_
#define DMCACHED_CORE_CACHE_DUPLICATE_FINDER_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/check.h"

namespace dmcached {

class DuplicateFinder {  // Not thread-safe; keeps its memory between requests.
 public:
  static constexpr size_t kMaxItems = 65536;

  // Forgets everything; at most `items` are added.
  void Begin(size_t items) {
    DMCACHED_CHECK(items <= kMaxItems);
    const size_t slots = std::bit_ceil(items * 2 + 2);
    if (slots > table_.size()) table_.resize(slots);
    mask_ = slots - 1;
    if (++request_ <= UINT16_MAX) return;
    std::fill(table_.begin(), table_.end(), 0);
    request_ = 1;
  }
  // Adds items[i], whose upper 32 bits of `hash` are good ones; false if an earlier one is the same.  Expected O(1).
  template <typename Integer>
  bool Add(std::span<const Integer> items, size_t i, uint64_t hash) {
    size_t slot = (hash >> 32) & mask_;
    for (; table_[slot] >> 16 == request_; slot = (slot + 1) & mask_) {
      if (items[table_[slot] & UINT16_MAX] == items[i]) return false;
    }
    table_[slot] = request_ << 16 | static_cast<uint32_t>(i);
    return true;
  }

  // The index of the first item that was there before.  Expected O(items).
  template <typename Integer>
  std::optional<size_t> Find(std::span<const Integer> items) {
    Begin(items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      if (!Add(items, i, uint64_t{items[i]} * 0x9E3779B97F4A7C15)) return i;
    }
    return std::nullopt;
  }

 private:
  std::vector<uint32_t> table_;  // Number of the request and, below it, 16 bits of the item's index.
  uint32_t request_ = 0;
  size_t mask_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_DUPLICATE_FINDER_H_
