// Stores that keep which block is cached where, and whether it is dirty: ours, and two that anyone might use instead.
#ifndef DMCACHED_TESTS_BENCH_MARK_STORE_H_
#define DMCACHED_TESTS_BENCH_MARK_STORE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tests/bench/scattered.h"

namespace dmcached::bench {

class MarkStore {  // Not thread-safe unless said so.
 public:
  virtual ~MarkStore() = default;
  // All of them dirty, and durable, when it returns; cblocks are mapped.
  virtual void MarkDurably(std::span<const uint32_t> cblocks) = 0;
  // All blocks clean, durably.
  virtual void ClearAll() = 0;
};

// Every cblock below `cblocks` is mapped, to a random oblock, 8 bytes each.  `folder` is new.
std::unique_ptr<MarkStore> NewLmdbStore(const std::string& folder, uint32_t cblocks);
std::unique_ptr<MarkStore> NewRocksDbStore(const std::string& folder, uint32_t cblocks);

// The mapping word that both keep: as in dm-cache's array, oblock and flags.
inline uint64_t MappingValue(uint32_t cblock, bool dirty) {
  return Scattered(cblock, uint64_t{1} << 40) << 16 | (dirty ? 3 : 1);
}

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_MARK_STORE_H_
