// Finds an item that is twice in one request.
#ifndef DMCACHED_CORE_CACHE_DUPLICATE_FINDER_H_
#define DMCACHED_CORE_CACHE_DUPLICATE_FINDER_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dmcached {

class DuplicateFinder {  // Not thread-safe; keeps its memory between requests.
 public:
  // The index of the first item that was there before.  Expected O(items).
  template <typename Integer>
  std::optional<size_t> Find(std::span<const Integer> items) {
    const size_t slots = std::bit_ceil(items.size() * 2 + 2);
    table_.assign(slots, 0);
    for (size_t i = 0; i < items.size(); ++i) {
      const uint64_t item = items[i];
      size_t slot = static_cast<size_t>((item * 0x9E3779B97F4A7C15) >> 20) & (slots - 1);
      for (; table_[slot] != 0; slot = (slot + 1) & (slots - 1)) {
        if (items[table_[slot] - 1] == item) return i;
      }
      table_[slot] = static_cast<uint32_t>(i + 1);
    }
    return std::nullopt;
  }

 private:
  std::vector<uint32_t> table_;  // Index of an item plus 1; 0: empty.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_DUPLICATE_FINDER_H_
