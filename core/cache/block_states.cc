#include "core/cache/block_states.h"

#include <bit>

#include "core/base/check.h"

namespace dmcached {

void BlockStates::SetMapped(uint32_t cblock) {
  DMCACHED_CHECK(!mapped(cblock));
  Set(mapped_, cblock);
  ++mapped_count_;
  if (dirty_bit(cblock)) ++dirty_count_;
}

void BlockStates::Remove(uint32_t cblock) {
  DMCACHED_CHECK(mapped(cblock));
  SetDirtyBit(cblock, false);
  Clear(mapped_, cblock);
  --mapped_count_;
  Hold(cblock);
  removed_running_.push_back(cblock);
}

void BlockStates::Hold(uint32_t cblock) {
  if (Test(held_, cblock)) return;
  Set(held_, cblock);
  ++held_count_;
}

void BlockStates::SetDirtyBit(uint32_t cblock, bool dirty) {
  if (dirty_bit(cblock) == dirty) return;
  dirty ? Set(dirty_, cblock) : Clear(dirty_, cblock);
  if (!mapped(cblock)) return;
  dirty ? ++dirty_count_ : --dirty_count_;
}

void BlockStates::LoadDirtyWord(uint32_t word, uint64_t bits) {
  dirty_[word] = bits;
  CutTail(dirty_);
  dirty_count_ += static_cast<uint32_t>(std::popcount(dirty_[word] & mapped_[word]));
}

void BlockStates::CutTail(Bits& bits) const {
  if (size_ % 64 != 0) bits.back() &= (uint64_t{1} << (size_ % 64)) - 1;
}

void BlockStates::Resize(uint32_t size) {
  for (uint32_t i = size; i < size_; ++i) {
    if (mapped(i)) removed_running_.push_back(i);
  }
  size_ = size;
  const size_t words = CeilDiv(size, 64);
  for (Bits* bits : {&mapped_, &dirty_, &held_}) {
    bits->resize(words);
    CutTail(*bits);
  }
  for (const auto* removed : {&removed_running_, &removed_committing_}) {
    for (const uint32_t cblock : *removed) {
      if (cblock < size) Set(held_, cblock);
    }
  }
  if (cursor_ >= size) cursor_ = 0;
  Recount();
}

void BlockStates::Recount() {
  mapped_count_ = dirty_count_ = held_count_ = 0;
  for (size_t i = 0; i < mapped_.size(); ++i) {
    mapped_count_ += static_cast<uint32_t>(std::popcount(mapped_[i]));
    dirty_count_ += static_cast<uint32_t>(std::popcount(mapped_[i] & dirty_[i]));
    held_count_ += static_cast<uint32_t>(std::popcount(held_[i]));
  }
}

uint32_t BlockStates::CountDirtyFrom(uint32_t first, size_t max, std::vector<uint32_t>& found) const {
  uint32_t count = 0;
  for (size_t i = first / 64; i < mapped_.size(); ++i) {
    uint64_t word = mapped_[i] & dirty_[i];
    if (i == first / 64) word &= ~uint64_t{0} << (first % 64);
    count += static_cast<uint32_t>(std::popcount(word));
    for (; word != 0 && found.size() < max; word &= word - 1) {
      found.push_back(static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word)));
    }
  }
  return count;
}

void BlockStates::VisitMapped(bool dirty_only, const std::function<bool(uint32_t)>& visit) const {
  for (size_t i = 0; i < mapped_.size(); ++i) {
    for (uint64_t word = dirty_only ? mapped_[i] & dirty_[i] : mapped_[i]; word != 0; word &= word - 1) {
      if (!visit(static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word)))) return;
    }
  }
}

void BlockStates::VisitFree(const std::function<bool(Cblock)>& take) {
  const size_t words = mapped_.size();
  const size_t start = cursor_ / 64;
  // Once more than there are words: the first one is seen from the cursor on, and at the end up to it.
  for (size_t step = 0; step <= words && words > 0; ++step) {
    const size_t i = (start + step) % words;
    uint64_t word = ~(mapped_[i] | held_[i]);
    if (i == words - 1 && size_ % 64 != 0) word &= (uint64_t{1} << (size_ % 64)) - 1;
    const uint64_t from_cursor = ~uint64_t{0} << (cursor_ % 64);
    if (step == 0) word &= from_cursor;
    if (step == words) word &= ~from_cursor;
    for (; word != 0; word &= word - 1) {
      const uint32_t cblock = static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word));
      if (take(Cblock(cblock))) continue;
      cursor_ = cblock;
      return;
    }
  }
}

void BlockStates::Prepare() {
  DMCACHED_CHECK(removed_committing_.empty());
  removed_committing_.swap(removed_running_);
}

void BlockStates::Finish() {
  for (const uint32_t cblock : removed_committing_) {
    if (cblock >= size_ || !Test(held_, cblock)) continue;
    Clear(held_, cblock);
    --held_count_;
  }
  removed_committing_.clear();
}

}  // namespace dmcached
