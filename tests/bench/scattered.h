// Numbers that lie as the oblocks of an old cache do: all over the origin.
#ifndef DMCACHED_TESTS_BENCH_SCATTERED_H_
#define DMCACHED_TESTS_BENCH_SCATTERED_H_

#include <cstdint>

namespace dmcached::bench {

// Below `end`; another number for every `i` below `end` (the factor is a prime, `end` no multiple of it).
inline uint64_t Scattered(uint64_t i, uint64_t end) { return i * 2654435761 % end; }

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_SCATTERED_H_
