// Bits per cblock in memory: mapped, and the dirty bit as stored.  Validation, counts, the search for free cblocks and
// the shrink check use them and read nothing from the device.  All bits of a cblock lie in one cache line.
//
// A removed cblock is held until its removal is durable: before that a crash would bring the old mapping back over
// whatever was written into the cblock since.
#ifndef DMCACHED_CORE_CACHE_BLOCK_STATES_H_
#define DMCACHED_CORE_CACHE_BLOCK_STATES_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/base/check.h"
#include "core/base/huge_memory.h"
#include "core/base/ids.h"
#include "core/base/prefetch.h"

namespace dmcached {

class BlockStates {  // Not thread-safe.
 public:
  uint32_t size() const { return size_; }
  uint32_t mapped_count() const { return mapped_count_; }
  uint32_t dirty_count() const { return dirty_count_; }  // Mapped and dirty.
  uint32_t free_count() const { return size_ - mapped_count_ - held_count_; }

  bool mapped(uint32_t cblock) const { return Test(&Word::mapped, cblock); }
  // The stored bit, which a foreign writer may have set on an unmapped cblock.
  bool dirty_bit(uint32_t cblock) const { return Test(&Word::dirty, cblock); }
  // Mapped bits of 64 cblocks.
  uint64_t MappedWord(uint32_t word) const { return words_[word].mapped; }
  bool dirty(uint32_t cblock) const { return mapped(cblock) && dirty_bit(cblock); }
  // Not mapped in the running, the committing or the durable state.
  bool IsFree(Cblock cblock) const {
    if (cblock.value() >= size_) return false;
    const Word& word = words_[cblock.value() / 64];
    return (((word.mapped | word.held) >> (cblock.value() % 64)) & 1) == 0;
  }
  // Fetches the bits of a cblock that will be asked for; it may be out of range.
  void Prefetch(uint32_t cblock) const {
    if (cblock < size_) PrefetchLine(words_.data() + cblock / 64);
  }

  // A claim ends with it.
  void SetMapped(uint32_t cblock) {
    Word& word = words_[cblock / 64];
    const uint64_t bit = Bit(cblock);
    DMCACHED_CHECK((word.mapped & bit) == 0);
    word.mapped |= bit;
    word.claimed &= ~bit;
    ++mapped_count_;
    dirty_count_ += (word.dirty & bit) != 0 ? 1 : 0;
  }
  // Unmapped, its dirty bit cleared, held until the removal is durable.
  void Remove(uint32_t cblock) {
    Word& word = words_[cblock / 64];
    const uint64_t bit = Bit(cblock);
    DMCACHED_CHECK((word.mapped & bit) != 0);
    --mapped_count_;
    dirty_count_ -= (word.dirty & bit) != 0 ? 1 : 0;
    held_count_ += (word.held & bit) == 0 ? 1 : 0;
    word.mapped &= ~bit;
    word.dirty &= ~bit;
    word.held |= bit;
    removed_running_.push_back(cblock);
  }
  // False if it was as asked.
  bool SetDirtyBit(uint32_t cblock, bool dirty) {
    Word& word = words_[cblock / 64];
    const uint64_t bit = Bit(cblock);
    if (((word.dirty & bit) != 0) == dirty) return false;
    word.dirty ^= bit;
    const uint32_t counted = (word.mapped & bit) != 0 ? 1 : 0;
    dirty ? dirty_count_ += counted : dirty_count_ -= counted;
    return true;
  }
  // As found on the device, while loading: 64 cblocks at once, mapped bits first.
  void LoadMappedWord(uint32_t word, uint64_t bits);
  void LoadDirtyWord(uint32_t word, uint64_t bits);

  // New cblocks are unmapped and clean; a cut one that was mapped counts as removed.
  void Resize(uint32_t size);
  // Mapped and dirty cblocks from `first` on; the first `max` of them are appended to `found`.
  uint32_t CountDirtyFrom(uint32_t first, size_t max, std::vector<uint32_t>& found) const;
  // Calls `visit` for each mapped cblock, dirty ones only if asked, in order, until it returns false.
  void VisitMapped(bool dirty_only, const std::function<bool(uint32_t)>& visit) const;
  // Calls `take` for free cblocks, once round from where the last call ended, until it returns false.
  void VisitFree(const std::function<bool(Cblock)>& take);

  // Claims cblocks for one request, so that it hears of those that it names twice.  All claims are given up before the
  // next request.
  bool claimed(uint32_t cblock) const { return Test(&Word::claimed, cblock); }
  // False if the cblock is claimed, or not free.
  bool ClaimFree(uint32_t cblock) {
    Word& word = words_[cblock / 64];
    const uint64_t bit = Bit(cblock);
    if (((word.mapped | word.held | word.claimed) & bit) != 0) return false;
    word.claimed |= bit;
    return true;
  }
  // False if the cblock is claimed.
  bool Claim(uint32_t cblock) {
    Word& word = words_[cblock / 64];
    const uint64_t bit = Bit(cblock);
    if ((word.claimed & bit) != 0) return false;
    word.claimed |= bit;
    return true;
  }
  void GiveUp(uint32_t cblock) { words_[cblock / 64].claimed &= ~Bit(cblock); }

  // The running transaction is being committed, or has become durable.
  void Prepare();
  void Finish();

 private:
  struct Word {  // Of 64 cblocks.
    uint64_t mapped;
    uint64_t dirty;
    uint64_t held;
    uint64_t claimed;
  };
  using Bits = uint64_t Word::*;

  bool Test(Bits bits, uint32_t i) const { return ((words_[i / 64].*bits >> (i % 64)) & 1) != 0; }
  static uint64_t Bit(uint32_t i) { return uint64_t{1} << (i % 64); }
  // The bits of a word that stand for cblocks.
  uint64_t Within(size_t word) const {
    return word + 1 == words_.size() && size_ % 64 != 0 ? (uint64_t{1} << (size_ % 64)) - 1 : ~uint64_t{0};
  }
  void Recount();

  uint32_t size_ = 0;
  uint32_t mapped_count_ = 0;
  uint32_t dirty_count_ = 0;
  uint32_t held_count_ = 0;
  uint32_t cursor_ = 0;
  HugeMemory memory_;
  std::span<Word> words_;  // In `memory_`.
  std::vector<uint32_t> removed_running_;
  std::vector<uint32_t> removed_committing_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_BLOCK_STATES_H_
