// Reads what an open CacheMetadata says of itself, and runs its operations to their end.
#ifndef DMCACHED_TESTS_SUPPORT_OPEN_CACHE_H_
#define DMCACHED_TESTS_SUPPORT_OPEN_CACHE_H_

#include <memory>

#include "core/base/mutex.h"
#include "core/cache/cache_metadata.h"
#include "core/store/block_set.h"
#include "tests/support/cache_contents.h"

namespace dmcached {

inline std::shared_ptr<CacheCounters> NewCounters() { return std::make_shared<CacheCounters>(); }

// As the only user of the cache.
inline absl::StatusOr<uint32_t> ApplyNow(CacheMetadata& cache, const Mutation& mutation) {
  Mutex unshared;
  return RunWithBlocks(unshared, cache.store(), [&](BlockSet& set) { return cache.Apply(mutation, set); });
}

// All that its reads give.  `dirty` is what must be assumed; a hint of an unmapped cblock, which cannot be read, is 0.
absl::StatusOr<CacheContents> ReadContents(CacheMetadata& cache);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_OPEN_CACHE_H_
