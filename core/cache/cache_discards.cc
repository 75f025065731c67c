// CacheMetadata: discards, one bit per discard block of the origin.  A set bit says that the contents are worthless, so
// it must never outlive a write: inserting a mapping and marking one dirty clear it in the same transaction.
#include <algorithm>
#include <bit>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_items.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {
namespace {

// The bits [begin, end) of bitset word `entry`.
uint64_t WordMask(uint64_t entry, uint64_t begin, uint64_t end) {
  const uint64_t first = entry * kBitsPerWord;
  uint64_t mask = ~uint64_t{0};
  if (begin > first) mask &= ~uint64_t{0} << (begin - first);
  if (end < first + kBitsPerWord) mask &= ~(~uint64_t{0} << (end - first));
  return mask;
}

// Calls `visit(entry, mask)` for each bitset word that the ranges touch.
template <typename Visit>
void VisitWords(std::span<const DblockRange> ranges, Visit visit) {
  for (const DblockRange& range : ranges) {
    if (range.begin == range.end) continue;
    const uint64_t last = (range.end.value() - 1) / kBitsPerWord;
    for (uint64_t entry = range.begin.value() / kBitsPerWord; entry <= last; ++entry) {
      visit(entry, WordMask(entry, range.begin.value(), range.end.value()));
    }
  }
}

// The same dblocks in order, without overlaps and empty ranges.
std::vector<DblockRange> Merged(std::span<const DblockRange> ranges) {
  std::vector<DblockRange> sorted;
  std::copy_if(ranges.begin(), ranges.end(), std::back_inserter(sorted),
               [](const DblockRange& range) { return range.begin != range.end; });
  std::sort(sorted.begin(), sorted.end(), [](const DblockRange& a, const DblockRange& b) { return a.begin < b.begin; });
  std::vector<DblockRange> merged;
  for (const DblockRange& range : sorted) {
    if (merged.empty() || merged.back().end < range.begin) {
      merged.push_back(range);
    } else {
      merged.back().end = std::max(merged.back().end, range.end);
    }
  }
  return merged;
}

bool Contains(std::span<const DblockRange> merged, Dblock dblock) {
  const auto after = std::upper_bound(merged.begin(), merged.end(), dblock,
                                      [](Dblock d, const DblockRange& range) { return d < range.begin; });
  return after != merged.begin() && dblock < std::prev(after)->end;
}

}  // namespace

uint64_t CacheMetadata::OblocksPerDblock() const {
  return superblock_.discard_block_size.value() / superblock_.data_block_size.value();
}

bool CacheMetadata::DiscardBit(uint64_t dblock) const {
  const uint64_t word = store_->array(ArrayKind::kDiscards).Word(dblock / kBitsPerWord);
  return ((word >> (dblock % kBitsPerWord)) & 1) != 0;
}

bool CacheMetadata::NameDiscardOf(Oblock oblock, BlockSet& set) {
  if (discarded_ == 0) return true;
  const uint64_t dblock = DblockOf(oblock);
  if (dblock >= superblock_.discard_blocks) return true;
  PackedArray& discards = store_->array(ArrayKind::kDiscards);
  const uint64_t block = dblock / kBitsPerWord / kArrayWordsPerBlock;
  if (!set.Read(discards, block)) return false;
  return !DiscardBit(dblock) || set.Change(discards, block);
}

void CacheMetadata::ClearDiscardOf(Oblock oblock) {
  if (discarded_ == 0) return;
  const uint64_t dblock = DblockOf(oblock);
  if (dblock >= superblock_.discard_blocks || !DiscardBit(dblock)) return;
  const DblockRange range = {Dblock(dblock), Dblock(dblock + 1)};
  WriteDiscardRanges({&range, 1}, false);
}

absl::Status CacheMetadata::CheckDiscardRanges(std::span<const DblockRange> ranges) const {
  if (ranges.size() > kMaxItemsPerRequest) {
    return MakeError(Reason::kTooManyItems, absl::StrCat(ranges.size(), " ranges in one request; at most ",
                                                         kMaxItemsPerRequest, " are taken"));
  }
  for (size_t i = 0; i < ranges.size(); ++i) {
    const uint64_t begin = ranges[i].begin.value();
    const uint64_t end = ranges[i].end.value();
    if (begin > end) {
      return MakeItemError(Reason::kInvalidRequest, i,
                           absl::StrCat("item ", i, ": the range ", begin, "-", end, " ends before it begins"));
    }
    if (end > superblock_.discard_blocks) {
      return MakeItemError(Reason::kDblockOutOfRange, i,
                           absl::StrCat("item ", i, ": dblocks ", begin, "-", end, " of a cache of ",
                                        superblock_.discard_blocks, " discard blocks"));
    }
  }
  return absl::OkStatus();
}

void CacheMetadata::NameDiscardRanges(std::span<const DblockRange> ranges, bool set_bits, BlockSet& set) {
  PackedArray& discards = store_->array(ArrayKind::kDiscards);
  VisitWords(ranges, [&](uint64_t entry, uint64_t mask) {
    if (!set.Read(discards, entry / kArrayWordsPerBlock)) return;
    const uint64_t word = discards.Word(entry);
    if ((set_bits ? ~word & mask : word & mask) != 0) set.Change(discards, entry / kArrayWordsPerBlock);
  });
}

void CacheMetadata::WriteDiscardRanges(std::span<const DblockRange> ranges, bool set_bits) {
  VisitWords(ranges, [&](uint64_t entry, uint64_t mask) {
    const uint64_t old = store_->array(ArrayKind::kDiscards).Word(entry);
    const uint64_t changed = set_bits ? ~old & mask : old & mask;
    if (changed == 0) return;
    SetWord(store_->array(ArrayKind::kDiscards), entry, old ^ changed);
    const auto bits = static_cast<uint64_t>(std::popcount(changed));
    discarded_ = set_bits ? discarded_ + bits : discarded_ - bits;
  });
}

absl::Status CacheMetadata::CheckNoDirtyUnder(std::span<const DblockRange> asked, std::span<const DblockRange> merged,
                                              BlockSet& set) {
  const uint64_t per_dblock = OblocksPerDblock();
  const auto refuse = [&](uint32_t cblock, Oblock oblock) {
    const Dblock dblock(oblock.value() / per_dblock);
    const auto item = std::find_if(asked.begin(), asked.end(), [&](const DblockRange& range) {
      return !(dblock < range.begin) && dblock < range.end;
    });
    const auto i = static_cast<size_t>(item - asked.begin());
    return MakeItemError(Reason::kMappingDirty, i,
                         absl::StrCat("item ", i, ": oblock ", oblock.value(), " in dblocks ", item->begin.value(), "-",
                                      item->end.value(), " is dirty in cblock ", cblock));
  };
  uint64_t covered = 0;
  for (const DblockRange& range : merged) covered += (range.end.value() - range.begin.value()) * per_dblock;
  if (covered > dirty_blocks()) {  // Less work from the side of the dirty mappings.
    return VisitMappedIn({Oblock(0), Oblock(oblock_end_)}, true, set, [&](uint32_t cblock, Oblock oblock) {
      return Contains(merged, Dblock(oblock.value() / per_dblock)) ? refuse(cblock, oblock) : absl::OkStatus();
    });
  }
  for (const DblockRange& range : merged) {
    const OblockRange oblocks = {Oblock(range.begin.value() * per_dblock), Oblock(range.end.value() * per_dblock)};
    DMCACHED_RETURN_IF_ERROR(VisitMappedIn(oblocks, true, set, refuse));
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::SetDiscards(const dmcached::SetDiscards& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckDiscardRanges(request.ranges));
  const std::vector<DblockRange> ranges = Merged(request.ranges);
  if (!request.discard_dirty) {
    DMCACHED_RETURN_IF_ERROR(CheckNoDirtyUnder(request.ranges, ranges, set));
  }
  NameDiscardRanges(ranges, true, set);
  if (!set.complete()) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  WriteDiscardRanges(ranges, true);
  Applied(MutationOp::kSetDiscard, request.ranges.size(), set);
  return absl::OkStatus();
}

absl::Status CacheMetadata::ClearDiscards(const dmcached::ClearDiscards& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckDiscardRanges(request.ranges));
  const std::vector<DblockRange> ranges = Merged(request.ranges);
  NameDiscardRanges(ranges, false, set);
  if (!set.complete()) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  WriteDiscardRanges(ranges, false);
  Applied(MutationOp::kClearDiscard, request.ranges.size(), set);
  return absl::OkStatus();
}

}  // namespace dmcached
