// CacheMetadata: inserting, removing and looking up mappings.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_items.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {

absl::Status CacheMetadata::InsertMappings(const dmcached::InsertMappings& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckColumns(request.cblocks.size(), request.oblocks.size(), "oblocks"));
  if (!request.dirty.empty()) {
    DMCACHED_RETURN_IF_ERROR(CheckColumns(request.cblocks.size(), request.dirty.size(), "dirty bits"));
  }
  Claims claims(states_, request.cblocks);
  if (absl::Status refused = CheckInsertion(request, claims, set); !refused.ok()) {
    DMCACHED_RETURN_IF_ERROR(CheckDistinct(request.oblocks));  // Told of before anything else.
    return refused;
  }
  if (!set.complete()) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  ApplyInsertion(request, set);
  claims.Mapped();
  return absl::OkStatus();
}

absl::Status CacheMetadata::CheckDistinct(std::span<const uint64_t> oblocks) {
  const std::optional<size_t> i = duplicates_.Find(oblocks);
  if (!i.has_value()) return absl::OkStatus();
  return MakeItemError(Reason::kInvalidRequest, *i,
                       absl::StrCat("item ", *i, ": oblock ", oblocks[*i], " is twice in the request"));
}

absl::Status CacheMetadata::CheckInsertion(const dmcached::InsertMappings& request, Claims& claims, BlockSet& set) {
  PackedArray& mappings = store_->array(ArrayKind::kMappings);
  duplicates_.Begin(request.oblocks.size());
  const DirtyWords stored = dirty_words();
  const Ahead ahead(request.cblocks.size(), [&](size_t i) { states_.Prefetch(request.cblocks[i]); });
  GlimpsesAhead glimpses(origin_index_, request.oblocks, [&](uint32_t cblock) { PrefetchMapping(cblock); });
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    const uint32_t cblock = request.cblocks[i];
    const Oblock oblock(request.oblocks[i]);
    ahead.Reach(i);
    const auto [hash, glimpse] = glimpses.Reach(i);
    if (!duplicates_.Add(request.oblocks, i, hash)) return CheckDistinct(request.oblocks);
    if (cblock >= superblock_.cache_blocks || oblock.value() >= oblock_end_ || !claims.ClaimNextFree()) {
      return NotInsertable(request, i);
    }
    if (!glimpse.absent) {
      if (const std::optional<Cblock> other = FindOblock(oblock, hash, set); other.has_value()) {
        return MakeItemError(
            Reason::kOblockAlreadyMapped, i,
            absl::StrCat("item ", i, ": oblock ", oblock.value(), " is mapped to cblock ", other->value()));
      }
    }
    set.Change(mappings, cblock / kArrayWordsPerBlock);
    const bool dirty = !request.dirty.empty() && request.dirty[i];
    if (states_.dirty_bit(cblock) != dirty) stored.NameChange(cblock, set);
    if (discarded_ > 0) NameDiscardOf(oblock, set);
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::NotInsertable(const dmcached::InsertMappings& request, size_t i) const {
  const uint32_t cblock = request.cblocks[i];
  DMCACHED_RETURN_IF_ERROR(CheckCblock(cblock, i));
  if (states_.claimed(cblock)) return CblockTwice(cblock, i);
  DMCACHED_RETURN_IF_ERROR(CheckOblock(request.oblocks[i], i));
  const char* why = states_.mapped(cblock) ? " is mapped" : " was removed, and that is not durable yet";
  return MakeItemError(Reason::kCblockInUse, i, absl::StrCat("item ", i, ": cblock ", cblock, why));
}

void CacheMetadata::ApplyInsertion(const dmcached::InsertMappings& request, const BlockSet& set) {
  PackedArray& mappings = store_->array(ArrayKind::kMappings);
  const DirtyWords stored = dirty_words();
  const Ahead ahead(request.cblocks.size(), [&](size_t i) { PrefetchMapping(request.cblocks[i]); });
  HashesAhead hashes(origin_index_, request.oblocks);
  uint64_t end = mapped_end_;
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    const uint32_t cblock = request.cblocks[i];
    const Oblock oblock(request.oblocks[i]);
    ahead.Reach(i);
    SetWord(mappings, cblock, (oblock.value() << kMappingFlagBits) | kMappingFlagValid);
    states_.SetMapped(cblock);
    const bool dirty = !request.dirty.empty() && request.dirty[i];
    if (states_.SetDirtyBit(cblock, dirty)) stored.Put(cblock, dirty);
    origin_index_.Insert(hashes.Reach(i), Cblock(cblock));
    end = std::max(end, oblock.value() + 1);
    if (discarded_ > 0) ClearDiscardOf(oblock);
  }
  mapped_end_ = end;
  Applied(MutationOp::kInsert, request.cblocks.size(), set);
}

absl::Status CacheMetadata::DirtyRemoval(uint32_t cblock, uint64_t item) const {
  return MakeItemError(Reason::kMappingDirty, item,
                       absl::StrCat("item ", item, ": cblock ", cblock, " is dirty; its data would be lost"));
}

inline absl::Status CacheMetadata::CheckRemoval(uint32_t cblock, bool discard_dirty, uint64_t item, BlockSet& set) {
  if (states_.dirty(cblock) && !discard_dirty) return DirtyRemoval(cblock, item);
  set.Change(store_->array(ArrayKind::kMappings), cblock / kArrayWordsPerBlock);
  if (states_.dirty_bit(cblock)) dirty_words().NameChange(cblock, set);
  return absl::OkStatus();
}

absl::Status CacheMetadata::CollectRange(const dmcached::RemoveMappings& request, BlockSet& set) {
  if (!request.cblocks.empty() || !request.oblocks.empty()) {
    return MakeError(Reason::kInvalidRequest, "give pairs or a range of oblocks, not both");
  }
  if (request.oblock_range->end < request.oblock_range->begin) {
    return MakeError(Reason::kInvalidRequest, "the range of oblocks ends before it begins");
  }
  range_cblocks_.clear();
  range_oblocks_.clear();
  return VisitMappedIn(*request.oblock_range, false, set, [&](uint32_t cblock, Oblock oblock) -> absl::Status {
    if (range_cblocks_.size() == kMaxItemsPerRequest) {
      return MakeError(Reason::kTooManyItems, absl::StrCat("more than ", kMaxItemsPerRequest,
                                                           " mappings lie in the range; remove it in parts"));
    }
    DMCACHED_RETURN_IF_ERROR(CheckRemoval(cblock, request.discard_dirty, range_cblocks_.size(), set));
    range_cblocks_.push_back(cblock);
    range_oblocks_.push_back(oblock.value());
    return absl::OkStatus();
  });
}

absl::StatusOr<uint32_t> CacheMetadata::RemoveMappings(const dmcached::RemoveMappings& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  std::span<const uint32_t> cblocks = request.cblocks;
  std::span<const uint64_t> oblocks = request.oblocks;
  if (request.oblock_range.has_value()) {
    DMCACHED_RETURN_IF_ERROR(CollectRange(request, set));
    cblocks = range_cblocks_;
    oblocks = range_oblocks_;
  } else {
    DMCACHED_RETURN_IF_ERROR(CheckColumns(cblocks.size(), oblocks.size(), "oblocks"));
    DMCACHED_RETURN_IF_ERROR(CheckRemovals(request, set));
  }
  if (!set.complete()) return 0;
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  ApplyRemoval(cblocks, oblocks, set);
  return static_cast<uint32_t>(cblocks.size());
}

absl::Status CacheMetadata::CheckRemovals(const dmcached::RemoveMappings& request, BlockSet& set) {
  const std::span<const uint32_t> cblocks = request.cblocks;
  Claims claims(states_, cblocks);
  absl::Status refused;  // By what is told of only where every pair is right.
  const Ahead ahead(cblocks.size(), [&](size_t i) { PrefetchMapping(cblocks[i]); });
  for (size_t i = 0; i < cblocks.size(); ++i) {
    ahead.Reach(i);
    if (!IsPair(cblocks[i], request.oblocks[i], set)) return NotPaired(cblocks[i], request.oblocks[i], i);
    if (!refused.ok()) continue;
    if (claims.ClaimNext()) {
      refused = CheckRemoval(cblocks[i], request.discard_dirty, i, set);
    } else {
      refused = CblockTwice(cblocks[i], i);
    }
  }
  return refused;
}

void CacheMetadata::ApplyRemoval(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks,
                                 const BlockSet& set) {
  PackedArray& mappings = store_->array(ArrayKind::kMappings);
  const DirtyWords stored = dirty_words();
  const Ahead ahead(cblocks.size(), [&](size_t i) {
    PrefetchMapping(cblocks[i]);
    if (states_.dirty_count() > 0) stored.Prefetch(cblocks[i]);
  });
  HashesAhead hashes(origin_index_, oblocks);
  for (size_t i = 0; i < cblocks.size(); ++i) {
    ahead.Reach(i);
    if (states_.SetDirtyBit(cblocks[i], false)) stored.Put(cblocks[i], false);
    SetWord(mappings, cblocks[i], 0);
    states_.Remove(cblocks[i]);
    origin_index_.Erase(hashes.Reach(i), Cblock(cblocks[i]));
  }
  if (!cblocks.empty()) Applied(MutationOp::kRemove, cblocks.size(), set);
}

void CacheMetadata::FillLookedUp(uint32_t cblock, bool with_hints, BlockSet& set, LookedUp& found) {
  found.cblock = Cblock(cblock);
  // Where blocks are damaged, "not mapped" must be read from a sound one.
  if (damaged_mappings_) ReadMapping(cblock, set);
  if (!states_.mapped(cblock) || !ReadMapping(cblock, set)) return;
  if (damaged_mappings_ && superblock_.version == 2) {  // The dirty bit, too.
    set.Read(store_->array(ArrayKind::kDirty), cblock / kBitsPerWord / kArrayWordsPerBlock);
  }
  found.mapped = true;
  found.oblock = Oblock(MappingWord(cblock) >> kMappingFlagBits);
  found.dirty_stored = states_.dirty_bit(cblock);
  found.dirty = assume_all_dirty_ || found.dirty_stored;
  if (!with_hints || cblock >= store_->array(ArrayKind::kHints).entries()) return;
  PackedArray& hints = store_->array(ArrayKind::kHints);
  if (set.Read(hints, cblock / kHintsPerBlock)) found.hint = hints.Hint(cblock);
}

absl::Status CacheMetadata::LookupCblocks(std::span<const uint32_t> cblocks, BlockSet& set,
                                          std::vector<LookedUp>& out) {
  out.clear();
  out.resize(cblocks.size());
  const bool with_hints = hints_valid();
  const Ahead ahead(cblocks.size(), [&](size_t i) { PrefetchMapping(cblocks[i]); });
  for (size_t i = 0; i < cblocks.size(); ++i) {
    ahead.Reach(i);
    DMCACHED_RETURN_IF_ERROR(CheckCblock(cblocks[i], i));
    FillLookedUp(cblocks[i], with_hints, set, out[i]);
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::LookupOblocks(std::span<const uint64_t> oblocks, BlockSet& set,
                                          std::vector<LookedUp>& out) {
  out.clear();
  out.resize(oblocks.size());
  const bool with_hints = hints_valid();
  GlimpsesAhead glimpses(origin_index_, oblocks, [&](uint32_t cblock) { PrefetchMapping(cblock); });
  for (size_t i = 0; i < oblocks.size(); ++i) {
    const Oblock oblock(oblocks[i]);
    const auto [hash, glimpse] = glimpses.Reach(i);
    DMCACHED_RETURN_IF_ERROR(CheckOblock(oblocks[i], i));
    std::optional<Cblock> cblock;
    if (glimpse.guessed && MapsTo(glimpse.guess, oblock, set)) {
      cblock = glimpse.guess;
    } else if (!glimpse.absent) {
      cblock = FindOblock(oblock, hash, set);
    }
    if (cblock.has_value()) {
      FillLookedUp(cblock->value(), with_hints, set, out[i]);
      continue;
    }
    if (damaged_mappings_) {
      return MakeItemError(Reason::kMetadataCorrupt, i,
                           absl::StrCat("item ", i, ": oblock ", oblocks[i],
                                        " was not found, but parts of the mapping array cannot be read"));
    }
    out[i].oblock = Oblock(oblocks[i]);
  }
  return absl::OkStatus();
}

}  // namespace dmcached
