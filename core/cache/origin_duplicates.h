// Finds an oblock that is mapped twice while the mapping array is read at open, in at most 40 MiB.
//
// Where the origin's range fits and is not out of proportion to the mappings (a superblock may claim any range), one
// bit per oblock; else the oblocks themselves are collected and sorted, in as many passes over the array as that takes.
// Threads that share the work have one object each, and are merged at the end of a pass.
#ifndef DMCACHED_CORE_CACHE_ORIGIN_DUPLICATES_H_
#define DMCACHED_CORE_CACHE_ORIGIN_DUPLICATES_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/base/huge_memory.h"
#include "core/base/ids.h"
#include "core/base/prefetch.h"

namespace dmcached {

class OriginDuplicates {  // Not thread-safe.
 public:
  static constexpr uint64_t kBudgetBytes = 40u << 20;

  // `oblock_end`: nearly every oblock is below it; `mappings`: at most so many; `sharers`: so many objects take part,
  // each with its part of `budget_bytes`.
  OriginDuplicates(uint64_t oblock_end, uint64_t mappings, uint64_t budget_bytes = kBudgetBytes, size_t sharers = 1) {
    if (FitsBits(oblock_end, mappings, budget_bytes / sharers)) {
      memory_ = HugeMemory(CeilDiv(oblock_end, 64) * sizeof(uint64_t));
      seen_ = {reinterpret_cast<uint64_t*>(memory_.data()), CeilDiv(oblock_end, 64)};
    } else {
      // Half of it, for passes that get more than their share.
      passes_ = std::max<uint64_t>(1, CeilDiv(2 * mappings * sizeof(uint64_t), budget_bytes));
      collected_.reserve(std::min(mappings, budget_bytes / sizeof(uint64_t)) / sharers);
    }
  }
  // How many objects at most, of `wanted`, can share the work quickly.
  static size_t Sharers(uint64_t oblock_end, uint64_t mappings, size_t wanted) {
    if (!FitsBits(oblock_end, mappings, kBudgetBytes)) return wanted;
    while (wanted > 1 && !FitsBits(oblock_end, mappings, kBudgetBytes / wanted)) --wanted;
    return wanted;
  }

  // Takes the memory for bits from the system, if there are any, in the thread that will add the oblocks.
  void Populate() const { memory_.Populate(0, memory_.size_bytes()); }

  // How often every oblock must be added, with EndPass after each round.
  uint64_t passes() const { return passes_; }

  void Add(Oblock oblock) {
    if (oblock.value() / 64 < seen_.size()) {
      uint64_t& word = seen_[oblock.value() / 64];
      const uint64_t bit = uint64_t{1} << (oblock.value() % 64);
      if ((word & bit) != 0) duplicate_ = oblock;
      word |= bit;
    } else if (PassOf(oblock) == pass_) {
      collected_.push_back(oblock.value());
    }
  }

  // Adds each, not waiting for memory.
  void AddAll(std::span<const Oblock> oblocks) {
    constexpr size_t kFetchAhead = 64;
    for (size_t i = 0; i < oblocks.size(); ++i) {
      if (i + kFetchAhead < oblocks.size()) Prefetch(oblocks[i + kFetchAhead]);
      Add(oblocks[i]);
    }
  }

  // Takes over what another sharer has found in this pass, before EndPass; EndPass of `other` says nothing then.
  void Merge(OriginDuplicates& other) {
    for (size_t i = 0; i < seen_.size(); ++i) {
      const uint64_t twice = seen_[i] & other.seen_[i];
      if (twice != 0) duplicate_ = Oblock(i * 64 + static_cast<uint64_t>(std::countr_zero(twice)));
      seen_[i] |= other.seen_[i];
    }
    if (other.duplicate_.has_value()) duplicate_ = other.duplicate_;
    collected_.insert(collected_.end(), other.collected_.begin(), other.collected_.end());
    other.collected_.clear();
  }

  void EndPass() {
    std::sort(collected_.begin(), collected_.end());
    const auto twice = std::adjacent_find(collected_.begin(), collected_.end());
    if (twice != collected_.end()) duplicate_ = Oblock(*twice);
    collected_.clear();
    ++pass_;
  }

  const std::optional<Oblock>& duplicate() const { return duplicate_; }
  uint64_t memory_bytes() const { return memory_.size_bytes() + collected_.capacity() * sizeof(uint64_t); }

 private:
  void Prefetch(Oblock oblock) const {
    const uint64_t word = oblock.value() / 64;
    if (word < seen_.size()) PrefetchLine(seen_.data() + word);
  }

  // Bits are quicker than sorting, so they may take four times as much.
  static constexpr uint64_t kBitBytesPerMapping = 4 * sizeof(uint64_t);

  static bool FitsBits(uint64_t oblock_end, uint64_t mappings, uint64_t budget_bytes) {
    return oblock_end / 8 <= std::min(budget_bytes, mappings * kBitBytesPerMapping);
  }
  // Mixed, because oblocks may all be multiples of something.
  uint64_t PassOf(Oblock oblock) const { return (oblock.value() * 0x9E3779B97F4A7C15 >> 32) % passes_; }

  uint64_t passes_ = 1;
  uint64_t pass_ = 0;
  HugeMemory memory_;
  std::span<uint64_t> seen_;  // In `memory_`: a bit per oblock.
  std::vector<uint64_t> collected_;
  std::optional<Oblock> duplicate_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ORIGIN_DUPLICATES_H_
