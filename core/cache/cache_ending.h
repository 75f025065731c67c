// How a cache is let go of.
#ifndef DMCACHED_CORE_CACHE_CACHE_ENDING_H_
#define DMCACHED_CORE_CACHE_CACHE_ENDING_H_

namespace dmcached {

struct CacheEnding {
  bool require_no_dirty = false;
  bool discard_uncommitted = false;  // Of a failed cache.
  bool wipe = false;                 // Zero the superblock.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_ENDING_H_
