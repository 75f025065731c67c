#include "core/maintenance/cblock_bits.h"

#include <algorithm>
#include <bit>

namespace dmcached {
namespace {

// The bits of word `w` that lie in [begin, end).
uint64_t RangeMask(uint64_t w, uint64_t begin, uint64_t end) {
  const uint64_t first = w * 64;
  if (end <= first || begin >= first + 64) return 0;
  uint64_t mask = ~uint64_t{0};
  if (begin > first) mask &= ~uint64_t{0} << (begin - first);
  if (end < first + 64) mask &= (uint64_t{1} << (end - first)) - 1;
  return mask;
}

uint64_t Count(uint64_t bits) { return static_cast<uint64_t>(std::popcount(bits)); }

}  // namespace

CblockBits::CblockBits(uint64_t cblocks)
    : cblocks_(cblocks),
      mapping_known_(CeilDiv(cblocks, 64)),
      mapped_(mapping_known_.size()),
      dirty_known_(mapping_known_.size()),
      dirty_(mapping_known_.size()) {}

uint64_t CblockBits::Mask(uint64_t w) const { return RangeMask(w, 0, cblocks_); }

void CblockBits::SetRange(Bits& bits, uint64_t begin, uint64_t end) const {
  end = std::min(end, cblocks_);
  for (uint64_t w = begin / 64; w < CeilDiv(end, 64); ++w) Or(bits[w], ~uint64_t{0}, RangeMask(w, begin, end));
}

void CblockBits::Merge(Bits& to, uint64_t begin, uint64_t count, std::span<const uint64_t> bits) const {
  const uint64_t end = std::min(begin + count, cblocks_);
  const uint64_t shift = begin % 64;
  uint64_t before = 0;  // Bits that did not fit into the word before.
  for (uint64_t w = begin / 64, i = 0; w < CeilDiv(end, 64); ++w, ++i) {
    const uint64_t next = i < bits.size() ? bits[i] : 0;
    Or(to[w], before | next << shift, RangeMask(w, begin, end));
    before = shift == 0 ? 0 : next >> (64 - shift);
  }
}

void CblockBits::SetDirtyWord(uint64_t word, uint64_t bits) {
  if (word < dirty_.size()) dirty_[word] = bits & Mask(word);
}

CblockBits::Counts CblockBits::PossibleIn(uint64_t w, uint64_t mask) const {
  const uint64_t mapped = (mapped_[w] | ~mapping_known_[w]) & mask;
  return {Count(mapped), Count(mapped & (dirty_[w] | ~dirty_known_[w]))};
}

CblockBits::Counts CblockBits::PossibleBefore(uint64_t end) const {
  const uint64_t sum = end / 64 / kWordsPerSum;
  Counts counts = before_[sum];
  for (uint64_t w = sum * kWordsPerSum; w < CeilDiv(end, 64); ++w) counts += PossibleIn(w, RangeMask(w, 0, end));
  return counts;
}

CblockBits::Counts CblockBits::CountPossible(const CblockRange& range, bool all_dirty) {
  if (before_.empty()) {
    Counts sum;
    for (uint64_t w = 0; w < mapped_.size(); ++w) {
      if (w % kWordsPerSum == 0) before_.push_back(sum);
      sum += PossibleIn(w, Mask(w));
    }
    before_.push_back(sum);  // Perhaps one more than is looked at.
  }
  const uint64_t begin = range.begin.value();
  const uint64_t end = range.end.value();
  const Counts before = PossibleBefore(std::min(begin, cblocks_));
  Counts counts = PossibleBefore(std::min(end, cblocks_));
  counts.mappings -= before.mappings;
  counts.dirty -= before.dirty;
  if (all_dirty) counts.dirty = counts.mappings;
  const uint64_t unknown = end - std::clamp(cblocks_, begin, end);
  return {counts.mappings + unknown, counts.dirty + unknown};
}

CblockBits::Counts CblockBits::CountKnown(bool all_dirty) const {
  Counts counts;
  for (uint64_t w = 0; w < mapped_.size(); ++w) {
    counts.mappings += Count(mapped_[w]);
    counts.dirty += Count(all_dirty ? mapped_[w] : mapped_[w] & dirty_[w]);
  }
  return counts;
}

CblockRange CblockBits::NextDirtyUnmapped(uint64_t from) const {
  const auto at = [](uint64_t cblock) { return Cblock(static_cast<uint32_t>(cblock)); };
  uint64_t begin = cblocks_;
  for (uint64_t w = from / 64; w < dirty_.size(); ++w) {
    const uint64_t found = DirtyUnmapped(w) & RangeMask(w, from, cblocks_);
    if (found == 0) continue;
    begin = w * 64 + static_cast<uint64_t>(std::countr_zero(found));
    break;
  }
  uint64_t end = begin;
  while (end < cblocks_ && (DirtyUnmapped(end / 64) >> (end % 64) & 1) != 0) {
    // Whole words at once: a reference tool leaves all of them set.
    end += end % 64 == 0 && DirtyUnmapped(end / 64) == ~uint64_t{0} ? 64 : 1;
  }
  return {at(begin), at(std::min(end, cblocks_))};
}

}  // namespace dmcached
