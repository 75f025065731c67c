// Dies with a sentence when our own code broke an invariant.  Never used on bytes from a disk or a peer.
#ifndef DMCACHED_CORE_BASE_CHECK_H_
#define DMCACHED_CORE_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define DMCACHED_CHECK(condition)                                                                        \
  do {                                                                                                   \
    if (!(condition)) [[unlikely]] {                                                                     \
      std::fprintf(stderr, "dmcached: broken invariant at %s:%d: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                                      \
    }                                                                                                    \
  } while (false)

// For what no path reaches; the compiler knows that it does not return.
#define DMCACHED_UNREACHABLE(why)                                                                 \
  do {                                                                                            \
    std::fprintf(stderr, "dmcached: broken invariant at %s:%d: %s\n", __FILE__, __LINE__, (why)); \
    std::abort();                                                                                 \
  } while (false)

#endif  // DMCACHED_CORE_BASE_CHECK_H_
