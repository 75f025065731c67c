// Fills an origin index with everything that a cache maps, on several threads.
//
// A table larger than the processor's caches costs a wait for memory per entry, unless the entries of a part of it come
// together.  So they are sorted by part first, in scratch of a bounded size, and put into the table part by part, each
// by one thread, whenever the scratch is full.  What runs over the end of a part waits, and goes in afterwards.
#ifndef DMCACHED_CORE_CACHE_ORIGIN_INDEX_BUILDER_H_
#define DMCACHED_CORE_CACHE_ORIGIN_INDEX_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/executor.h"
#include "core/base/huge_memory.h"
#include "core/base/mutex.h"
#include "core/cache/origin_index.h"

namespace dmcached {

class OriginIndexBuilder {
 public:
  // What one thread has gathered since the last Flush.
  class Lane {  // Not thread-safe.
   public:
    // As many of the one as of the other.
    void AddAll(std::span<const Oblock> oblocks, std::span<const Cblock> cblocks);
    // Flush before adding much more.
    bool full() const { return !surplus_.empty(); }

   private:
    friend class OriginIndexBuilder;

    struct Surplus {
      uint64_t home;
      uint64_t entry;
    };

    const OriginIndex::Table* table_ = nullptr;
    uint32_t part_shift_ = 0;
    uint32_t part_capacity_ = 0;
    HugeMemory memory_;
    uint64_t* entries_ = nullptr;  // By part.
    std::vector<uint32_t> counts_;
    std::vector<Surplus> surplus_;  // For which its part's space was short.
  };

  // `index` has room for `mappings` entries, and has not grown since it was made.
  OriginIndexBuilder(OriginIndex& index, uint64_t mappings, size_t lanes, uint64_t scratch_bytes);

  Lane& lane(size_t i) { return lanes_[i]; }
  // Puts what was gathered into the index; nobody adds meanwhile.  `executor` (or null) helps.
  void Flush(Executor* executor);

 private:
  void FillPart(uint64_t part);

  // Parts that fit a processor's own cache, unless that would make too many to write to at once.
  static constexpr uint64_t kPartBuckets = 4096;
  static constexpr uint64_t kMaxParts = 512;

  OriginIndex::Table& table_;
  uint32_t part_shift_ = 0;
  uint64_t parts_ = 0;
  std::vector<Lane> lanes_;
  Mutex mutex_;
  std::vector<Lane::Surplus> left_over_ ABSL_GUARDED_BY(mutex_);  // Its part is full.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ORIGIN_INDEX_BUILDER_H_
