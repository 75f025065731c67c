// Which bytes of a small group have a value.
#ifndef DMCACHED_CORE_BASE_EQUAL_BYTES_H_
#define DMCACHED_CORE_BASE_EQUAL_BYTES_H_

#include <cstddef>
#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "core/base/le.h"

namespace dmcached {

// Bit i is set if bytes[i] is `value`, of 16 bytes.  For every processor.
inline uint32_t EqualBytesPortable(const std::byte* bytes, uint8_t value) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  const auto equal = [&](const std::byte* eight) {
    constexpr uint64_t kRest = 0x7F * kOnes;
    const uint64_t x = LoadLe<uint64_t>(eight) ^ value * kOnes;
    const uint64_t zero = ~(((x & kRest) + kRest) | x | kRest);            // The highest bit of each byte that is zero.
    return static_cast<uint32_t>((zero >> 7) * 0x0102040810204080 >> 56);  // Those bits next to each other.
  };
  return equal(bytes) | equal(bytes + 8) << 8;
}

// The same, with what every x86-64 processor has.
inline uint32_t EqualBytes(const std::byte* bytes, uint8_t value) {
#if defined(__SSE2__)
  const __m128i found =
      _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)), _mm_set1_epi8(static_cast<char>(value)));
  return static_cast<uint32_t>(_mm_movemask_epi8(found));
#else
  return EqualBytesPortable(bytes, value);
#endif
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_EQUAL_BYTES_H_
