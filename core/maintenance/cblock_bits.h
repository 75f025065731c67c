// What a check knows of each cblock, in bits: mapped, dirty, and whether the array that says so could be read.
//
// Half a byte per cblock, at most.
#ifndef DMCACHED_CORE_MAINTENANCE_CBLOCK_BITS_H_
#define DMCACHED_CORE_MAINTENANCE_CBLOCK_BITS_H_

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/ids.h"
#include "core/cache/mutation.h"

namespace dmcached {

// Threads may set what is about different cblocks at the same time; nobody reads meanwhile.
class CblockBits {
 public:
  struct Counts {
    uint64_t mappings = 0;
    uint64_t dirty = 0;

    Counts& operator+=(const Counts& other) {
      mappings += other.mappings;
      dirty += other.dirty;
      return *this;
    }
  };

  // Of cblocks [0, `cblocks`); of later ones nothing is known.
  explicit CblockBits(uint64_t cblocks);

  uint64_t cblocks() const { return cblocks_; }
  // The mapping of [begin, end) could be read.
  void SetMappingKnown(uint64_t begin, uint64_t end) { SetRange(mapping_known_, begin, end); }
  void SetMapped(uint64_t cblock) { Set(mapped_, cblock); }
  // The dirty bits of [begin, end) could be read.
  void SetDirtyKnown(uint64_t begin, uint64_t end) { SetRange(dirty_known_, begin, end); }
  void SetDirty(uint64_t cblock) { Set(dirty_, cblock); }
  // The same for [begin, begin + count) at once; bit i is that of `begin` + i, and none is set behind the last.
  void MergeMapped(uint64_t begin, uint64_t count, std::span<const uint64_t> bits) {
    Merge(mapped_, begin, count, bits);
  }
  void MergeDirty(uint64_t begin, uint64_t count, std::span<const uint64_t> bits) { Merge(dirty_, begin, count, bits); }
  // 64 dirty bits at once.
  void SetDirtyWord(uint64_t word, uint64_t bits);

  // Mappings of `range`, and the dirty ones; what is not known counts.  `all_dirty`: dirty bits mean nothing.
  // The first call comes when all is set, and is O(cblocks); the others take no longer for a longer range.
  Counts CountPossible(const CblockRange& range, bool all_dirty);
  // Those that are there for sure.
  Counts CountKnown(bool all_dirty) const;
  // The next range at or after `from` of dirty bits whose cblocks are known to be unmapped; empty: there is none.
  CblockRange NextDirtyUnmapped(uint64_t from) const;

 private:
  using Bits = std::vector<uint64_t>;
  static constexpr uint64_t kWordsPerSum = 64;

  // Sets those of `bits` that `range` has.  Words at the ends of a range have bits of its neighbours too.
  static void Or(uint64_t& word, uint64_t bits, uint64_t range) {
    if (range == ~uint64_t{0}) {
      word |= bits;
    } else {
      std::atomic_ref(word).fetch_or(bits & range, std::memory_order_relaxed);
    }
  }
  static void Set(Bits& bits, uint64_t i) { Or(bits[i / 64], ~uint64_t{0}, uint64_t{1} << (i % 64)); }
  void SetRange(Bits& bits, uint64_t begin, uint64_t end) const;
  void Merge(Bits& to, uint64_t begin, uint64_t count, std::span<const uint64_t> bits) const;
  // What is possible of [0, `end`), going by the dirty bits.
  Counts PossibleBefore(uint64_t end) const;
  // Of the cblocks of word `w` that `mask` has.
  Counts PossibleIn(uint64_t w, uint64_t mask) const;
  // Of word `w`, the bits below the end.
  uint64_t Mask(uint64_t w) const;
  uint64_t DirtyUnmapped(uint64_t w) const { return dirty_[w] & dirty_known_[w] & mapping_known_[w] & ~mapped_[w]; }

  uint64_t cblocks_;
  Bits mapping_known_;
  Bits mapped_;
  Bits dirty_known_;
  Bits dirty_;
  std::vector<Counts> before_;  // What is possible before every kWordsPerSum-th word; empty until it is asked for.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_CBLOCK_BITS_H_
