// The content of a mutation in 128 bits: tells a repeat of a request from another request under the same id.
#ifndef DMCACHED_CORE_CACHE_FINGERPRINT_H_
#define DMCACHED_CORE_CACHE_FINGERPRINT_H_

#include <cstdint>

#include "core/cache/mutation.h"

namespace dmcached {

struct Fingerprint {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Fingerprint&) const = default;
};

// Covers the kind and every field.  Valid within this process only.  Costs one pass over the columns.
Fingerprint FingerprintOf(const Mutation& mutation);

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_FINGERPRINT_H_
