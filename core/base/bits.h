// Bits of 64-bit words.
#ifndef DMCACHED_CORE_BASE_BITS_H_
#define DMCACHED_CORE_BASE_BITS_H_

#include <bit>
#include <cstdint>

namespace dmcached {

// The first bit of `word` at or above `from` (below 64) that is set, or that is clear; 64: there is none.
constexpr uint64_t NextBit(uint64_t word, uint64_t from, bool set) {
  const uint64_t sought = (set ? word : ~word) >> from;
  return sought == 0 ? 64 : from + static_cast<uint64_t>(std::countr_zero(sought));
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_BITS_H_
