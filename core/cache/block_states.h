// Two bits per cblock in memory: mapped, and the dirty bit as stored.  Validation, counts, the search for free cblocks
// and the shrink check use them and read nothing from the device.
//
// A removed cblock is held until its removal is durable: before that a crash would bring the old mapping back over
// whatever was written into the cblock since.
#ifndef DMCACHED_CORE_CACHE_BLOCK_STATES_H_
#define DMCACHED_CORE_CACHE_BLOCK_STATES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "core/base/ids.h"

namespace dmcached {

class BlockStates {  // Not thread-safe.
 public:
  uint32_t size() const { return size_; }
  uint32_t mapped_count() const { return mapped_count_; }
  uint32_t dirty_count() const { return dirty_count_; }  // Mapped and dirty.
  uint32_t free_count() const { return size_ - mapped_count_ - held_count_; }

  bool mapped(uint32_t cblock) const { return Test(mapped_, cblock); }
  // The stored bit, which a foreign writer may have set on an unmapped cblock.
  bool dirty_bit(uint32_t cblock) const { return Test(dirty_, cblock); }
  // Mapped bits of 64 cblocks.
  uint64_t MappedWord(uint32_t word) const { return mapped_[word]; }
  bool dirty(uint32_t cblock) const { return mapped(cblock) && dirty_bit(cblock); }
  // Not mapped in the running, the committing or the durable state.
  bool IsFree(Cblock cblock) const {
    return cblock.value() < size_ && !mapped(cblock.value()) && !Test(held_, cblock.value());
  }

  void SetMapped(uint32_t cblock);
  // Unmapped, its dirty bit cleared, held until the removal is durable.
  void Remove(uint32_t cblock);
  void SetDirtyBit(uint32_t cblock, bool dirty);
  // As found on the device, while loading: 64 cblocks at once.
  void LoadDirtyWord(uint32_t word, uint64_t bits);

  // New cblocks are unmapped and clean; a cut one that was mapped counts as removed.
  void Resize(uint32_t size);
  // Mapped and dirty cblocks from `first` on; the first `max` of them are appended to `found`.
  uint32_t CountDirtyFrom(uint32_t first, size_t max, std::vector<uint32_t>& found) const;
  // Calls `visit` for each mapped cblock, dirty ones only if asked, in order, until it returns false.
  void VisitMapped(bool dirty_only, const std::function<bool(uint32_t)>& visit) const;
  // Calls `take` for free cblocks, once round from where the last call ended, until it returns false.
  void VisitFree(const std::function<bool(Cblock)>& take);

  // The running transaction is being committed, or has become durable.
  void Prepare();
  void Finish();

 private:
  using Bits = std::vector<uint64_t>;
  static bool Test(const Bits& bits, uint32_t i) { return ((bits[i / 64] >> (i % 64)) & 1) != 0; }
  static void Set(Bits& bits, uint32_t i) { bits[i / 64] |= uint64_t{1} << (i % 64); }
  static void Clear(Bits& bits, uint32_t i) { bits[i / 64] &= ~(uint64_t{1} << (i % 64)); }
  void Hold(uint32_t cblock);
  void CutTail(Bits& bits) const;
  void Recount();

  uint32_t size_ = 0;
  uint32_t mapped_count_ = 0;
  uint32_t dirty_count_ = 0;
  uint32_t held_count_ = 0;
  uint32_t cursor_ = 0;
  Bits mapped_;
  Bits dirty_;
  Bits held_;
  std::vector<uint32_t> removed_running_;
  std::vector<uint32_t> removed_committing_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_BLOCK_STATES_H_
