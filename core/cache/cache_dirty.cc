// CacheMetadata: dirty marks.  Version 1 keeps them as a flag of the mapping word, version 2 as a bitset.
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_items.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {

absl::Status CacheMetadata::NotMarkable(uint32_t cblock, uint64_t item) const {
  DMCACHED_RETURN_IF_ERROR(CheckCblock(cblock, item));
  return MakeItemError(Reason::kNotMapped, item, absl::StrCat("item ", item, ": cblock ", cblock, " is not mapped"));
}

absl::Status CacheMetadata::MarkDirty(const dmcached::MarkDirty& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckColumns(request.cblocks.size(), request.cblocks.size(), "cblocks"));
  const DirtyWords stored = dirty_words();
  const Ahead states(request.cblocks.size(), [&](size_t i) { states_.Prefetch(request.cblocks[i]); });
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    const uint32_t cblock = request.cblocks[i];
    states.Reach(i);
    if (cblock >= states_.size() || !states_.mapped(cblock)) return NotMarkable(cblock, i);
    if (!states_.dirty_bit(cblock)) stored.NameChange(cblock, set);
    if (discarded_ > 0 && ReadMapping(cblock, set)) {
      NameDiscardOf(Oblock(MappingWord(cblock) >> kMappingFlagBits), set);
    }
  }
  if (!set.complete()) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  const Ahead bits(request.cblocks.size(), [&](size_t i) {
    states_.Prefetch(request.cblocks[i]);
    stored.Prefetch(request.cblocks[i]);
  });
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    const uint32_t cblock = request.cblocks[i];
    bits.Reach(i);
    if (discarded_ > 0) ClearDiscardOf(Oblock(MappingWord(cblock) >> kMappingFlagBits));
    if (states_.SetDirtyBit(cblock, true)) stored.Put(cblock, true);
  }
  Applied(MutationOp::kMarkDirty, request.cblocks.size(), set);
  return absl::OkStatus();
}

absl::Status CacheMetadata::ClearDirty(const dmcached::ClearDirty& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckColumns(request.cblocks.size(), request.oblocks.size(), "oblocks"));
  const DirtyWords stored = dirty_words();
  const Ahead mappings(request.cblocks.size(), [&](size_t i) { PrefetchMapping(request.cblocks[i]); });
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    const uint32_t cblock = request.cblocks[i];
    mappings.Reach(i);
    if (!IsPair(cblock, request.oblocks[i], set)) return NotPaired(cblock, request.oblocks[i], i);
    if (states_.dirty_bit(cblock)) stored.NameChange(cblock, set);
  }
  if (!set.complete()) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  const Ahead bits(request.cblocks.size(), [&](size_t i) {
    states_.Prefetch(request.cblocks[i]);
    stored.Prefetch(request.cblocks[i]);
  });
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    bits.Reach(i);
    if (states_.SetDirtyBit(request.cblocks[i], false)) stored.Put(request.cblocks[i], false);
  }
  Applied(MutationOp::kClearDirty, request.cblocks.size(), set);
  return absl::OkStatus();
}

}  // namespace dmcached
