// CacheMetadata: changing the number of cache blocks, the origin size, and the arrays that follow.
//
// Every change of shape goes one way: the blocks that stay and change are named, fresh blocks are allocated and written
// in bulk without the mutex, and the next round puts everything in place at once.
#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/cache/cache_items.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {
namespace {

constexpr size_t kNamedDirtyBlocks = 16;

void AppendZeroBlocks(ArrayKind kind, uint64_t first_block, uint64_t entries, Store& store,
                      std::vector<BulkBlock>& fresh) {
  const uint64_t per_block = PackedArray::PerBlock(kind);
  for (uint64_t block = first_block; block * per_block < entries; ++block) {
    fresh.push_back({.location = store.AllocateBulk(),
                     .type = BlockType::kArrayBlock,
                     .value_size = PackedArray::ValueSize(kind),
                     .entries = static_cast<uint32_t>(std::min(per_block, entries - block * per_block)),
                     .contents = nullptr});
  }
}

}  // namespace

absl::Status CacheMetadata::CheckShrink(uint32_t cache_blocks) const {
  if (cache_blocks >= superblock_.cache_blocks) return absl::OkStatus();
  std::vector<uint32_t> dirty;
  const uint32_t count = states_.CountDirtyFrom(cache_blocks, kNamedDirtyBlocks, dirty);
  if (count == 0) return absl::OkStatus();
  return MakeError(Reason::kDirtyBlocks,
                   absl::StrCat("shrinking from ", superblock_.cache_blocks, " to ", cache_blocks, " cache blocks: ",
                                count, " dirty cblocks lie in the part to be cut: ", absl::StrJoin(dirty, ", "),
                                count > dirty.size() ? ", ..." : ""));
}

absl::Status CacheMetadata::CheckOriginShrink(Sectors origin_size, BlockSet& set) {
  const uint64_t end = origin_size.value() / superblock_.data_block_size.value();
  if (end >= std::min(oblock_end_, mapped_end_)) return absl::OkStatus();
  const OblockRange cut = {Oblock(end), Oblock(oblock_end_)};
  return VisitMappedIn(cut, false, set, [&](uint32_t cblock, Oblock oblock) {
    return MakeError(Reason::kGeometryMismatch,
                     absl::StrCat("an origin of ", origin_size.value(), " sectors ends before oblock ", oblock.value(),
                                  ", which is mapped to cblock ", cblock));
  });
}

absl::Status CacheMetadata::Resize(const dmcached::Resize& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  Geometry geometry = {.cache_blocks = request.cache_blocks.value_or(superblock_.cache_blocks),
                       .discards = {superblock_.discard_block_size, superblock_.discard_blocks}};
  // A cache of 0 blocks has no hint array, whatever its policy.
  geometry.create_hints = superblock_.cache_blocks == 0 && superblock_.policy_hint_size == kHintBytes;
  const uint64_t fast_sectors = geometry.cache_blocks * superblock_.data_block_size.value();
  if (fast_size_.value() != 0 && fast_sectors > fast_size_.value()) {
    return MakeError(Reason::kGeometryMismatch, absl::StrCat(geometry.cache_blocks, " cache blocks need ", fast_sectors,
                                                             " sectors, the fast device has ", fast_size_.value()));
  }
  DMCACHED_RETURN_IF_ERROR(CheckShrink(geometry.cache_blocks));
  if (request.origin_size.has_value()) {
    if (request.origin_size->value() == 0) return MakeError(Reason::kInvalidRequest, "an origin of 0 sectors");
    DMCACHED_RETURN_IF_ERROR(CheckOriginShrink(*request.origin_size, set));
    const DiscardGeometry discards = ChooseDiscardGeometry(*request.origin_size, superblock_.data_block_size);
    geometry.rebuild_discards = discards != geometry.discards;
    geometry.discards = discards;
  }
  DMCACHED_RETURN_IF_ERROR(Reshape(geometry, set));
  if (!set.complete() || !request.origin_size.has_value()) return absl::OkStatus();
  origin_size_ = *request.origin_size;
  oblock_end_ = std::min(kMaxOblocks, origin_size_.value() / superblock_.data_block_size.value());
  changed_ = true;
  return absl::OkStatus();
}

absl::Status CacheMetadata::ResizeDiscards(DiscardGeometry geometry, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  if (geometry.blocks > 0 &&
      (geometry.block_size.value() == 0 || geometry.block_size.value() % superblock_.data_block_size.value() != 0)) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat("discard blocks of ", geometry.block_size.value(),
                                                           " sectors are no multiple of the cache block size"));
  }
  return Reshape({.cache_blocks = superblock_.cache_blocks, .discards = geometry, .rebuild_discards = true}, set);
}

void CacheMetadata::AbandonBulk(const BlockSet* unless) {
  if (!bulk_.has_value() || (unless != nullptr && bulk_->owner == unless->id())) return;
  for (const auto& fresh : bulk_->fresh) {
    for (const BulkBlock& block : fresh) store_->ReleaseBulk(block.location);
  }
  bulk_.reset();
}

absl::Status CacheMetadata::Reshape(const Geometry& geometry, BlockSet& set) {
  AbandonBulk(&set);
  NameReshape(geometry, set);
  if (!set.complete()) return absl::OkStatus();
  if (!bulk_.has_value()) {
    DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies() + FreshBlocks(geometry), FreshNodes(geometry)));
    DMCACHED_RETURN_IF_ERROR(PlanBulk(geometry, set));
    if (!set.complete()) return absl::OkStatus();
  }
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies(), FreshNodes(geometry)));
  BulkPlan plan = *std::move(bulk_);
  bulk_.reset();
  ApplyReshape(geometry, std::move(plan));
  return absl::OkStatus();
}

void CacheMetadata::NameReshape(const Geometry& geometry, BlockSet& set) {
  const uint64_t kept = std::min(superblock_.cache_blocks, geometry.cache_blocks);
  auto name_tail = [&](ArrayKind kind, uint64_t entries) {
    PackedArray& array = store_->array(kind);
    if (entries % array.per_block() != 0) set.Change(array, entries / array.per_block());
  };
  if (geometry.cache_blocks != superblock_.cache_blocks) {
    name_tail(ArrayKind::kMappings, kept);
    if (superblock_.version == 2 && kept % kBitsPerWord != 0) {
      set.Change(store_->array(ArrayKind::kDirty), kept / kBitsPerWord / kArrayWordsPerBlock);
    } else if (superblock_.version == 2) {
      name_tail(ArrayKind::kDirty, kept / kBitsPerWord);
    }
  }
  if (has_hints() && !geometry.create_hints) {
    const uint64_t hints = store_->array(ArrayKind::kHints).entries();
    if (hints != geometry.cache_blocks) name_tail(ArrayKind::kHints, std::min<uint64_t>(hints, geometry.cache_blocks));
  }
  if (!geometry.rebuild_discards) return;
  PackedArray& discards = store_->array(ArrayKind::kDiscards);
  for (uint64_t block = 0; block < discards.blocks() && discarded_ > 0; ++block) set.Read(discards, block);
}

uint64_t CacheMetadata::FreshBlocks(const Geometry& geometry) const {
  auto added = [](ArrayKind kind, uint64_t old_entries, uint64_t entries) {
    const uint64_t old_blocks = CeilDiv(old_entries, PackedArray::PerBlock(kind));
    const uint64_t blocks = CeilDiv(entries, PackedArray::PerBlock(kind));
    return blocks > old_blocks ? blocks - old_blocks : 0;
  };
  uint64_t total = added(ArrayKind::kMappings, superblock_.cache_blocks, geometry.cache_blocks);
  if (superblock_.version == 2) {
    total += added(ArrayKind::kDirty, CeilDiv(superblock_.cache_blocks, kBitsPerWord),
                   CeilDiv(geometry.cache_blocks, kBitsPerWord));
  }
  if (has_hints() || geometry.create_hints) {
    const uint64_t old_hints = geometry.create_hints ? 0 : store_->array(ArrayKind::kHints).entries();
    total += added(ArrayKind::kHints, old_hints, geometry.cache_blocks);
  }
  if (geometry.rebuild_discards)
    total += added(ArrayKind::kDiscards, 0, CeilDiv(geometry.discards.blocks, kBitsPerWord));
  return total;
}

uint64_t CacheMetadata::FreshNodes(const Geometry& geometry) const {
  auto nodes = [](ArrayKind kind, uint64_t entries) {
    return IndexTree::NodeCountFor(CeilDiv(entries, PackedArray::PerBlock(kind)));
  };
  uint64_t total = 0;
  if (geometry.cache_blocks != superblock_.cache_blocks) {
    total += nodes(ArrayKind::kMappings, geometry.cache_blocks) +
             nodes(ArrayKind::kDirty, CeilDiv(geometry.cache_blocks, kBitsPerWord));
  }
  if (geometry.create_hints || (has_hints() && store_->array(ArrayKind::kHints).entries() != geometry.cache_blocks)) {
    total += nodes(ArrayKind::kHints, geometry.cache_blocks);
  }
  if (geometry.rebuild_discards) total += nodes(ArrayKind::kDiscards, CeilDiv(geometry.discards.blocks, kBitsPerWord));
  return total;
}

void CacheMetadata::PlanGrowth(ArrayKind kind, uint64_t old_entries, uint64_t entries, BulkPlan& plan) {
  AppendZeroBlocks(kind, CeilDiv(old_entries, PackedArray::PerBlock(kind)), entries, *store_,
                   plan.fresh[static_cast<size_t>(kind)]);
}

absl::Status CacheMetadata::PlanBulk(const Geometry& geometry, BlockSet& set) {
  BulkPlan plan;
  plan.owner = set.id();
  if (geometry.cache_blocks != superblock_.cache_blocks) {
    PlanGrowth(ArrayKind::kMappings, superblock_.cache_blocks, geometry.cache_blocks, plan);
    if (superblock_.version == 2) {
      PlanGrowth(ArrayKind::kDirty, CeilDiv(superblock_.cache_blocks, kBitsPerWord),
                 CeilDiv(geometry.cache_blocks, kBitsPerWord), plan);
    }
  }
  if (has_hints() || geometry.create_hints) {
    const uint64_t old = geometry.create_hints ? 0 : store_->array(ArrayKind::kHints).entries();
    PlanGrowth(ArrayKind::kHints, old, geometry.cache_blocks, plan);
  }
  if (geometry.rebuild_discards) PlanDiscards(geometry.discards, plan);
  std::vector<BulkBlock> writes;
  for (const auto& fresh : plan.fresh) writes.insert(writes.end(), fresh.begin(), fresh.end());
  bulk_ = std::move(plan);
  if (!writes.empty()) set.WriteLater(std::move(writes));
  return absl::OkStatus();
}

void CacheMetadata::PlanDiscards(const DiscardGeometry& geometry, BulkPlan& plan) {
  const uint64_t old_size = superblock_.discard_block_size.value();
  const uint64_t new_size = geometry.block_size.value();
  auto all_discarded = [&](uint64_t dblock) {
    const uint64_t begin = dblock * new_size / old_size;
    const uint64_t end = CeilDiv((dblock + 1) * new_size, old_size);
    if (end > superblock_.discard_blocks) return false;
    for (uint64_t old = begin; old < end; ++old) {
      if (!DiscardBit(old)) return false;
    }
    return true;
  };
  std::vector<BulkBlock>& fresh = plan.fresh[static_cast<size_t>(ArrayKind::kDiscards)];
  AppendZeroBlocks(ArrayKind::kDiscards, 0, CeilDiv(geometry.blocks, kBitsPerWord), *store_, fresh);
  if (discarded_ == 0) return;
  for (BulkBlock& block : fresh) {
    block.contents = std::make_shared<AlignedBuffer>(kMetadataBlockBytes);
    InitArrayBlock(block.value_size, block.entries, block.contents->span());
  }
  for (uint64_t dblock = 0; dblock < geometry.blocks; ++dblock) {
    if (!all_discarded(dblock)) continue;
    const uint64_t entry = dblock / kBitsPerWord;
    std::byte* word = fresh[entry / kArrayWordsPerBlock].contents->data() + sizeof(DiskArrayBlockHeader) +
                      entry % kArrayWordsPerBlock * sizeof(uint64_t);
    StoreLe(word, LoadLe<uint64_t>(word) | uint64_t{1} << (dblock % kBitsPerWord));
    ++plan.discarded;
  }
}

void CacheMetadata::ResizeOne(ArrayKind kind, uint64_t entries, const std::vector<BulkBlock>& fresh) {
  const uint64_t kept = std::min(store_->array(kind).entries(), entries);
  store_->ResizeArray(kind, entries, fresh);
  const PackedArray& array = store_->array(kind);
  const uint64_t in_tail = kept % array.per_block();
  if (in_tail == 0) return;
  const uint64_t tail = kept / array.per_block();
  const std::span<std::byte> block = store_->Writable(kind, tail);
  MutableDiskView<DiskArrayBlockHeader>(block).nr_entries.store(static_cast<uint32_t>(array.EntriesIn(tail)));
  const size_t kept_bytes = sizeof(DiskArrayBlockHeader) + in_tail * array.value_size();
  std::memset(block.data() + kept_bytes, 0, block.size() - kept_bytes);
}

void CacheMetadata::ClearTail(uint64_t kept_bits) {
  if (kept_bits % kBitsPerWord == 0) return;
  const uint64_t entry = kept_bits / kBitsPerWord;
  const uint64_t kept = ~(~uint64_t{0} << (kept_bits % kBitsPerWord));
  PackedArray& bits = store_->array(ArrayKind::kDirty);
  SetWord(bits, entry, bits.Word(entry) & kept);
}

void CacheMetadata::ApplyReshape(const Geometry& geometry, BulkPlan plan) {
  auto fresh = [&](ArrayKind kind) -> const std::vector<BulkBlock>& { return plan.fresh[static_cast<size_t>(kind)]; };
  changed_ = true;
  if (geometry.cache_blocks != superblock_.cache_blocks) {
    ResizeOne(ArrayKind::kMappings, geometry.cache_blocks, fresh(ArrayKind::kMappings));
    if (superblock_.version == 2) {
      ResizeOne(ArrayKind::kDirty, CeilDiv(geometry.cache_blocks, kBitsPerWord), fresh(ArrayKind::kDirty));
      ClearTail(std::min(superblock_.cache_blocks, geometry.cache_blocks));
    }
    superblock_.cache_blocks = geometry.cache_blocks;
    states_.Resize(geometry.cache_blocks);
    origin_index_.DropFrom(Cblock(geometry.cache_blocks));
    origin_index_.Grow(geometry.cache_blocks - states_.mapped_count());
  }
  if (geometry.cache_blocks == 0) {
    store_->DropArray(ArrayKind::kHints);
  } else if (geometry.create_hints) {
    store_->CreateArray(ArrayKind::kHints, geometry.cache_blocks, fresh(ArrayKind::kHints));
  } else if (has_hints() && store_->array(ArrayKind::kHints).entries() != geometry.cache_blocks) {
    ResizeOne(ArrayKind::kHints, geometry.cache_blocks, fresh(ArrayKind::kHints));
  }
  if (!geometry.rebuild_discards) return;
  store_->CreateArray(ArrayKind::kDiscards, CeilDiv(geometry.discards.blocks, kBitsPerWord),
                      fresh(ArrayKind::kDiscards));
  superblock_.discard_block_size = geometry.discards.block_size;
  superblock_.discard_blocks = geometry.discards.blocks;
  discarded_ = plan.discarded;
}

}  // namespace dmcached
