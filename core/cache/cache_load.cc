// CacheMetadata: what is held in memory of the arrays, read once at open.
#include <algorithm>
#include <bit>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"
#include "core/store/block_reader.h"

namespace dmcached {
namespace {

uint64_t WordAt(std::span<const std::byte> block, uint64_t i) {
  return LoadLe<uint64_t>(block.data() + sizeof(DiskArrayBlockHeader) + i * sizeof(uint64_t));
}

}  // namespace

absl::Status CacheMetadata::NoteDamage(const absl::Status& status) {
  if (!read_only_ || !HasReason(status, Reason::kMetadataCorrupt)) return status;
  CountFailedCheck(status, *counters_);
  damaged_mappings_ = true;
  return absl::OkStatus();
}

absl::Status CacheMetadata::WalkArray(ArrayKind kind,
                                      const std::function<absl::Status(uint64_t, std::span<const std::byte>)>& visit) {
  std::vector<uint64_t> blocks(store_->array(kind).blocks());
  std::iota(blocks.begin(), blocks.end(), uint64_t{0});
  return WalkBlocks(kind, blocks, visit);
}

absl::Status CacheMetadata::WalkBlocks(ArrayKind kind, std::span<const uint64_t> blocks,
                                       const std::function<absl::Status(uint64_t, std::span<const std::byte>)>& visit) {
  const PackedArray& array = store_->array(kind);
  std::vector<uint32_t> locations;
  for (const uint64_t block : blocks) locations.push_back(array.slots()[block].location);
  uint64_t done = 0;
  while (done < locations.size()) {
    const uint64_t first = done;
    auto check = [&](size_t i, std::span<const std::byte> bytes) -> absl::Status {
      const uint64_t block = blocks[first + i];
      DMCACHED_RETURN_IF_ERROR(
          CheckArrayHeader(MetadataBlock(locations[first + i]), array.value_size(), array.EntriesIn(block), bytes));
      DMCACHED_RETURN_IF_ERROR(visit(block, bytes));
      ++done;
      return absl::OkStatus();
    };
    const absl::Status walked = ReadArrayBlocks(*device_, std::span(locations).subspan(first), check);
    if (walked.ok()) break;
    DMCACHED_RETURN_IF_ERROR(NoteDamage(WithContext(walked, ArrayKindName(kind))));
    ++done;  // Past the damaged one.
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::LoadState(Executor* executor) {
  states_.Resize(superblock_.cache_blocks);
  origin_index_.Grow(superblock_.cache_blocks);
  DMCACHED_RETURN_IF_ERROR(LoadMappings(executor));
  if (superblock_.version == 2) {
    DMCACHED_RETURN_IF_ERROR(LoadDirtyBits());
  }
  return CountDiscards();
}

absl::Status CacheMetadata::LoadMappings(Executor* executor) {
  // A discard geometry that does not cover the origin, as whoever grew it may leave it, bounds nothing.
  const uint64_t end = origin_size_.value() == 0 ? kMaxOblocks : oblock_end_;
  MappingLoader loader({.device = *device_,
                        .array = store_->array(ArrayKind::kMappings),
                        .known_flags = known_mapping_flags(),
                        .oblock_end = end,
                        .likely_end = oblock_end_,
                        .executor = executor},
                       origin_index_);
  for (uint64_t pass = 0; pass < loader.passes(); ++pass) {
    const absl::Status read = loader.Pass();
    if (!read.ok()) return WithContext(read, ArrayKindName(ArrayKind::kMappings));
    if (pass == 0) TakeLoaded(loader);
    const std::vector<uint64_t> left_out = loader.left_out();
    DMCACHED_RETURN_IF_ERROR(
        WalkBlocks(ArrayKind::kMappings, left_out, [&](uint64_t block, std::span<const std::byte> bytes) {
          return LoadMappingBlock(block, bytes, loader, pass == 0);
        }));
    loader.EndPass();
  }
  if (!loader.duplicate().has_value()) return absl::OkStatus();
  return NoteDamage(MakeError(Reason::kMetadataCorrupt,
                              absl::StrCat("mapping array: oblock ", loader.duplicate()->value(), " is mapped twice")));
}

void CacheMetadata::TakeLoaded(const MappingLoader& loader) {
  for (uint32_t i = 0; i < loader.mapped_words().size(); ++i) states_.LoadMappedWord(i, loader.mapped_words()[i]);
  for (uint32_t i = 0; i < loader.dirty_words().size(); ++i) states_.LoadDirtyWord(i, loader.dirty_words()[i]);
  mapped_end_ = loader.mapped_end();
  if (mapped_end_ > oblock_end_) oblock_end_ = kMaxOblocks;
}

absl::Status CacheMetadata::LoadMappingBlock(uint64_t block, std::span<const std::byte> bytes, MappingLoader& loader,
                                             bool first_pass) {
  const uint64_t first = block * kArrayWordsPerBlock;
  const uint64_t entries = store_->array(ArrayKind::kMappings).EntriesIn(block);
  for (uint64_t i = 0; i < entries; ++i) {
    const uint64_t word = WordAt(bytes, i);
    if (word == 0) continue;
    const auto cblock = static_cast<uint32_t>(first + i);
    const Oblock oblock(word >> kMappingFlagBits);
    if ((word & kMappingFlagMask & ~known_mapping_flags()) != 0 || (word & kMappingFlagValid) == 0) {
      DMCACHED_RETURN_IF_ERROR(NoteDamage(
          MakeError(Reason::kMetadataCorrupt, absl::StrCat("mapping array: cblock ", cblock, " has the flags ",
                                                           word & kMappingFlagMask, " and oblock ", oblock.value()))));
      continue;
    }
    if (oblock.value() >= oblock_end_ && origin_size_.value() == 0) oblock_end_ = kMaxOblocks;
    if (oblock.value() >= oblock_end_) {
      DMCACHED_RETURN_IF_ERROR(NoteDamage(
          MakeError(Reason::kGeometryMismatch, absl::StrCat("cblock ", cblock, " maps oblock ", oblock.value(),
                                                            ", the origin has ", oblock_end_, " blocks"))));
      continue;
    }
    mapped_end_ = std::max(mapped_end_, oblock.value() + 1);
    loader.AddOrigin(oblock);
    if (!first_pass) continue;
    if (superblock_.version == 1) states_.SetDirtyBit(cblock, (word & kMappingFlagDirty) != 0);
    states_.SetMapped(cblock);
    origin_index_.Insert(oblock, Cblock(cblock));
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::LoadDirtyBits() {
  return WalkArray(ArrayKind::kDirty, [&](uint64_t block, std::span<const std::byte> bytes) {
    const uint64_t first = block * kArrayWordsPerBlock;
    const uint64_t entries = store_->array(ArrayKind::kDirty).EntriesIn(block);
    for (uint64_t i = 0; i < entries; ++i) states_.LoadDirtyWord(static_cast<uint32_t>(first + i), WordAt(bytes, i));
    return absl::OkStatus();
  });
}

absl::Status CacheMetadata::CountDiscards() {
  return WalkArray(ArrayKind::kDiscards, [&](uint64_t block, std::span<const std::byte> bytes) {
    const uint64_t first = block * kArrayWordsPerBlock;
    const uint64_t entries = store_->array(ArrayKind::kDiscards).EntriesIn(block);
    for (uint64_t i = 0; i < entries; ++i) {
      uint64_t word = WordAt(bytes, i);
      const uint64_t bit = (first + i) * kBitsPerWord;
      if (bit + kBitsPerWord > superblock_.discard_blocks) {
        word &= (uint64_t{1} << (superblock_.discard_blocks - bit)) - 1;  // Bits past the end mean nothing.
      }
      discarded_ += static_cast<uint64_t>(std::popcount(word));
    }
    return absl::OkStatus();
  });
}

}  // namespace dmcached
