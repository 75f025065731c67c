// Finds the cblock of an oblock: an open-addressing table of 4-byte cblocks and 1-byte tags.
//
// The oblocks themselves stay in the mapping array; a tag that matches is confirmed there.  Slots come in buckets of 16
// with a count of how many entries had to go past the bucket, so that removing needs no tombstones and a look-up ends
// at the first bucket that nothing went past.  Sized for a load of 0.75: 6.75 bytes per cache block.
#ifndef DMCACHED_CORE_CACHE_ORIGIN_INDEX_H_
#define DMCACHED_CORE_CACHE_ORIGIN_INDEX_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/ids.h"

namespace dmcached {

class OriginIndex {  // Not thread-safe.
 public:
  // Room for `cache_blocks` entries more.  What grows later lives in a table of its own until the next open.
  void Grow(uint64_t cache_blocks);

  // The oblock is not in the index yet.
  void Insert(Oblock oblock, Cblock cblock);
  // The pair is in the index.
  void Erase(Oblock oblock, Cblock cblock);
  // Forgets every entry of a cblock that is not below `end`.
  void DropFrom(Cblock end);

  // The cblock for which `is_at(cblock)` says that it maps `oblock`; asked for few others.  Expected O(1).
  template <typename IsAt>
  std::optional<Cblock> Find(Oblock oblock, IsAt&& is_at) const {
    const uint64_t hash = Hash(oblock);
    for (const Table& table : tables_) {
      for (uint64_t i = 0, bucket = table.Home(hash); i < table.buckets.size(); ++i) {
        const Bucket& b = table.buckets[bucket];
        for (size_t slot = 0; slot < kSlots; ++slot) {
          if (b.tags[slot] == Tag(hash) && is_at(Cblock(b.cblocks[slot]))) return Cblock(b.cblocks[slot]);
        }
        if (b.passed == 0) break;
        bucket = table.Next(bucket);
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr size_t kSlots = 16;

  struct Bucket {
    uint8_t tags[kSlots] = {};  // 0: empty.
    uint32_t cblocks[kSlots];
    uint32_t passed = 0;
  };
  struct Table {
    std::vector<Bucket> buckets;
    uint64_t capacity = 0;  // Entries at the intended load.
    uint64_t entries = 0;

    uint64_t Home(uint64_t hash) const { return (hash >> 32) * buckets.size() >> 32; }
    uint64_t Next(uint64_t bucket) const { return bucket + 1 == buckets.size() ? 0 : bucket + 1; }
  };

  static uint64_t Hash(Oblock oblock) {  // The finalizer of SplitMix64: every bit of the input reaches every bit.
    uint64_t x = oblock.value() + 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
  }
  static uint8_t Tag(uint64_t hash) { return static_cast<uint8_t>((hash & 0xFF) == 0 ? 1 : hash & 0xFF); }
  static bool EraseFrom(Table& table, uint64_t hash, Cblock cblock);

  std::vector<Table> tables_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ORIGIN_INDEX_H_
