// CacheMetadata: walks over every mapping and every discarded range, as a target loads them.
#include <algorithm>
#include <vector>

#include "core/base/bits.h"
#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {

absl::Status CacheMetadata::LoadMappings(const std::optional<HintPolicy>& policy, uint32_t hint_size,
                                         const std::function<absl::Status(const LoadedMapping&)>& visit) {
  const bool policy_matches = !policy.has_value() || (policy->name == superblock_.policy_name &&
                                                      policy->version.major == superblock_.policy_version[0]);
  const bool with_hints = hints_valid() && policy_matches && hint_size == superblock_.policy_hint_size;
  const uint64_t hinted = with_hints ? store_->array(ArrayKind::kHints).entries() : 0;
  Mutex unshared;
  std::vector<uint32_t> cblocks;
  std::vector<LookedUp> found;
  for (uint64_t first = 0; first < superblock_.cache_blocks; first += kArrayWordsPerBlock) {
    const uint64_t end = std::min<uint64_t>(first + kArrayWordsPerBlock, superblock_.cache_blocks);
    cblocks.clear();
    for (uint64_t i = first; i < end; ++i) cblocks.push_back(static_cast<uint32_t>(i));
    DMCACHED_RETURN_IF_ERROR(
        RunWithBlocks(unshared, *store_, [&](BlockSet& set) { return LookupCblocks(cblocks, set, found); }));
    for (const LookedUp& item : found) {
      if (!item.mapped) continue;
      const bool hint_valid = item.cblock.value() < hinted;
      DMCACHED_RETURN_IF_ERROR(visit({.cblock = item.cblock,
                                      .oblock = item.oblock,
                                      .dirty = item.dirty,
                                      .dirty_stored = item.dirty_stored,
                                      .hint = hint_valid ? item.hint : 0,
                                      .hint_valid = hint_valid}));
    }
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::LoadDiscards(const std::function<absl::Status(const DblockRange&)>& visit) {
  if (assume_all_dirty_) return absl::OkStatus();
  const uint64_t bits = superblock_.discard_blocks;
  PackedArray& discards = store_->array(ArrayKind::kDiscards);
  Mutex unshared;
  bool open = false;  // A range goes on, from `begin`.
  uint64_t begin = 0;
  std::vector<uint64_t> words;
  for (uint64_t bit = 0; bit < bits;) {
    const uint64_t first = bit / kBitsPerWord;
    const uint64_t end = std::min(CeilDiv(bits, kBitsPerWord), first + kArrayWordsPerBlock);
    words.clear();
    DMCACHED_RETURN_IF_ERROR(RunWithBlocks(unshared, *store_, [&](BlockSet& set) {
      if (!set.Read(discards, first / kArrayWordsPerBlock)) return absl::OkStatus();
      for (uint64_t entry = first; entry < end; ++entry) words.push_back(discards.Word(entry));
      return absl::OkStatus();
    }));
    while (bit < std::min(bits, end * kBitsPerWord)) {
      const uint64_t found = NextBit(words[bit / kBitsPerWord - first], bit % kBitsPerWord, !open);
      bit = bit - bit % kBitsPerWord + found;
      if (found == kBitsPerWord || bit >= bits) continue;
      if (open) {
        DMCACHED_RETURN_IF_ERROR(visit({Dblock(begin), Dblock(bit)}));
      } else {
        begin = bit;
      }
      open = !open;
    }
  }
  return open ? visit({Dblock(begin), Dblock(bits)}) : absl::OkStatus();
}

}  // namespace dmcached
