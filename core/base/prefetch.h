// Asks for memory that will be used soon.
#ifndef DMCACHED_CORE_BASE_PREFETCH_H_
#define DMCACHED_CORE_BASE_PREFETCH_H_

namespace dmcached {

// The cache line of `address`, to be read or written; any address will do.
inline void PrefetchLine(const void* address) {
  __builtin_prefetch(address, 1);
  // GCC 12 takes a function that does nothing but fetch for one without an effect, and drops the calls of it that it
  // did not inline early.
  asm volatile("");
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_PREFETCH_H_
