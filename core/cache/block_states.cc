#include "core/cache/block_states.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/base/check.h"

namespace dmcached {

void BlockStates::LoadMappedWord(uint32_t word, uint64_t bits) {
  words_[word].mapped = bits & Within(word);
  mapped_count_ += static_cast<uint32_t>(std::popcount(words_[word].mapped));
}

void BlockStates::LoadDirtyWord(uint32_t word, uint64_t bits) {
  words_[word].dirty = bits & Within(word);
  dirty_count_ += static_cast<uint32_t>(std::popcount(words_[word].dirty & words_[word].mapped));
}

void BlockStates::Resize(uint32_t size) {
  for (uint32_t i = size; i < size_; ++i) {
    if (mapped(i)) removed_running_.push_back(i);
  }
  size_ = size;
  HugeMemory memory(CeilDiv(size, 64) * sizeof(Word));
  memory.Populate(0, memory.size_bytes());
  const std::span<Word> words(reinterpret_cast<Word*>(memory.data()), CeilDiv(size, 64));
  std::copy_n(words_.begin(), std::min(words_.size(), words.size()), words.begin());
  memory_ = std::move(memory);
  words_ = words;
  if (!words_.empty()) {
    const uint64_t within = Within(words_.size() - 1);
    for (const Bits bits : {&Word::mapped, &Word::dirty, &Word::held}) words_.back().*bits &= within;
  }
  for (const auto* removed : {&removed_running_, &removed_committing_}) {
    for (const uint32_t cblock : *removed) {
      if (cblock < size) words_[cblock / 64].held |= Bit(cblock);
    }
  }
  if (cursor_ >= size) cursor_ = 0;
  Recount();
}

void BlockStates::Recount() {
  mapped_count_ = dirty_count_ = held_count_ = 0;
  for (const Word& word : words_) {
    mapped_count_ += static_cast<uint32_t>(std::popcount(word.mapped));
    dirty_count_ += static_cast<uint32_t>(std::popcount(word.mapped & word.dirty));
    held_count_ += static_cast<uint32_t>(std::popcount(word.held));
  }
}

uint32_t BlockStates::CountDirtyFrom(uint32_t first, size_t max, std::vector<uint32_t>& found) const {
  uint32_t count = 0;
  for (size_t i = first / 64; i < words_.size(); ++i) {
    uint64_t word = words_[i].mapped & words_[i].dirty;
    if (i == first / 64) word &= ~uint64_t{0} << (first % 64);
    count += static_cast<uint32_t>(std::popcount(word));
    for (; word != 0 && found.size() < max; word &= word - 1) {
      found.push_back(static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word)));
    }
  }
  return count;
}

void BlockStates::VisitMapped(bool dirty_only, const std::function<bool(uint32_t)>& visit) const {
  for (size_t i = 0; i < words_.size(); ++i) {
    const uint64_t mapped = words_[i].mapped;
    for (uint64_t word = dirty_only ? mapped & words_[i].dirty : mapped; word != 0; word &= word - 1) {
      if (!visit(static_cast<uint32_t>(i * 64) + static_cast<uint32_t>(std::countr_zero(word)))) return;
    }
  }
}

void BlockStates::VisitFree(const std::function<bool(Cblock)>& take) {
  const size_t words = words_.size();
  const size_t start = cursor_ / 64;
  // Once more than there are words: the first one is seen from the cursor on, and at the end up to it.
  for (size_t step = 0; step <= words && words > 0; ++step) {
    const size_t i = (start + step) % words;
    uint64_t word = ~(words_[i].mapped | words_[i].held) & Within(i);
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
    if (cblock >= size_ || !Test(&Word::held, cblock)) continue;
    words_[cblock / 64].held &= ~Bit(cblock);
    --held_count_;
  }
  removed_committing_.clear();
}

}  // namespace dmcached
