// Metadata in this thread's own hands, without the engine's queue: what one operation costs.
#ifndef DMCACHED_TESTS_BENCH_LOADED_CACHE_H_
#define DMCACHED_TESTS_BENCH_LOADED_CACHE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/base/mutex.h"
#include "core/cache/cache_metadata.h"
#include "core/device/block_device.h"
#include "core/store/block_set.h"
#include "tests/bench/scattered.h"

namespace dmcached::bench {

class LoadedCache {  // Not thread-safe.
 public:
  // Formats `device` and maps the first `mapped` cblocks, cblock c to OblockOf(c), on an origin `origin_factor` times
  // as large as the cache.
  LoadedCache(std::shared_ptr<BlockDevice> device, uint32_t version, uint32_t cblocks, uint32_t mapped,
              uint64_t block_cache_bytes, uint64_t origin_factor = 2);

  // Another one for every number below the origin's blocks but one; beyond `mapped` nothing is mapped there.
  uint64_t OblockOf(uint64_t cblock) const { return Scattered(cblock, origin_factor_ * cblocks_ - 1); }

  void Insert(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks);
  void Remove(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks);
  void Mark(std::span<const uint32_t> cblocks);
  void Clear(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks);
  void LookupCblocks(std::span<const uint32_t> cblocks);
  void LookupOblocks(std::span<const uint64_t> oblocks);
  void Commit();

  CacheMetadata& metadata() { return *metadata_; }

 private:
  template <typename Op>
  void Do(const char* what, Op op);

  const uint32_t cblocks_;
  const uint64_t origin_factor_;
  Mutex mutex_;
  std::unique_ptr<CacheMetadata> metadata_;
  std::vector<LookedUp> found_;
};

// A file on this machine, with O_DIRECT; or read only, through the page cache.
std::shared_ptr<BlockDevice> OpenBenchDevice(const std::string& path, bool cached = false);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_LOADED_CACHE_H_
