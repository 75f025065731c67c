// CacheMetadata: walks over every mapping and every discard block, as a target loads them.
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

absl::Status CacheMetadata::LoadDiscards(const std::function<absl::Status(Dblock, bool)>& visit) {
  Mutex unshared;
  for (uint64_t dblock = 0; dblock < superblock_.discard_blocks; ++dblock) {
    bool discarded = false;
    DMCACHED_RETURN_IF_ERROR(RunWithBlocks(unshared, *store_, [&](BlockSet& set) {
      PackedArray& discards = store_->array(ArrayKind::kDiscards);
      if (assume_all_dirty_) return absl::OkStatus();
      if (set.Read(discards, dblock / kBitsPerWord / kArrayWordsPerBlock)) discarded = DiscardBit(dblock);
      return absl::OkStatus();
    }));
    DMCACHED_RETURN_IF_ERROR(visit(Dblock(dblock), discarded));
  }
  return absl::OkStatus();
}

}  // namespace dmcached
