// Finds the oblocks of a small origin that were added more than once: a bit per oblock and lane.
#ifndef DMCACHED_CORE_MAINTENANCE_ORIGIN_BITS_H_
#define DMCACHED_CORE_MAINTENANCE_ORIGIN_BITS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/ids.h"

namespace dmcached {

class OriginBits {
 public:
  // Of oblocks below `oblock_end`.
  OriginBits(uint64_t oblock_end, size_t lanes) : words_(CeilDiv(oblock_end, 64)), twice_(words_), lanes_(lanes) {}

  bool empty() const { return words_ == 0; }
  bool Covers(Oblock oblock) const { return oblock.value() / 64 < words_; }

  // Of those it covers; the others are handed to `rest`.  Thread-safe, if each lane is used by one thread at a time.
  template <typename Rest>
  void Add(size_t lane, std::span<const Oblock> oblocks, Rest rest) {
    if (lanes_[lane].empty()) lanes_[lane].resize(words_);
    uint64_t* const seen = lanes_[lane].data();
    const uint64_t words = words_;
    for (const Oblock& oblock : oblocks) {
      const uint64_t w = oblock.value() / 64;
      if (w >= words) {
        rest(std::span(&oblock, 1));
        continue;
      }
      const uint64_t bit = uint64_t{1} << (oblock.value() % 64);
      const uint64_t word = seen[w];
      if ((word & bit) != 0) std::atomic_ref(twice_[w]).fetch_or(bit, std::memory_order_relaxed);
      seen[w] = word | bit;
    }
  }

  // After the last Add.  Whether there is any that was added more than once.
  bool Finish() {
    uint64_t any = 0;
    for (size_t w = 0; w < words_; ++w) {
      uint64_t seen = 0;
      for (const std::vector<uint64_t>& lane : lanes_) {
        if (lane.empty()) continue;
        twice_[w] |= seen & lane[w];
        seen |= lane[w];
      }
      any |= twice_[w];
    }
    return any != 0;
  }

  // After Finish, of one it covers.
  bool IsDuplicate(Oblock oblock) const { return (twice_[oblock.value() / 64] >> (oblock.value() % 64) & 1) != 0; }

  uint64_t memory_bytes() const {
    uint64_t words = twice_.capacity();
    for (const std::vector<uint64_t>& lane : lanes_) words += lane.capacity();
    return words * sizeof(uint64_t);
  }

 private:
  const size_t words_;
  std::vector<uint64_t> twice_;
  std::vector<std::vector<uint64_t>> lanes_;  // Empty until they are used.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_ORIGIN_BITS_H_
