// CacheMetadata: adopting unclean metadata.  Its dirty bits, hints and discards mean nothing: every mapped block is
// made dirty on disk, discards are zeroed, hints dropped, in a series of commits with CLEAN_SHUTDOWN clear; only the
// last one may set it.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"
#include "core/store/block_reader.h"

namespace dmcached {
namespace {

constexpr uint64_t kMostBlocksAtOnce = 4096;  // 16 MiB in memory.

}  // namespace

absl::Status CacheMetadata::Adopt() {
  adopting_ = true;
  changed_ = true;
  DMCACHED_RETURN_IF_ERROR(AdoptDirty(superblock_.version == 1 ? ArrayKind::kMappings : ArrayKind::kDirty));
  for (uint32_t cblock = 0; cblock < superblock_.cache_blocks; ++cblock) {
    states_.SetDirtyBit(cblock, states_.mapped(cblock));
  }
  DMCACHED_RETURN_IF_ERROR(DropStaleDiscards());
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(0));
  store_->DropArray(ArrayKind::kHints);
  adopting_ = false;
  adopted_ = true;
  return Commit(false);
}

absl::Status CacheMetadata::AdoptDirty(ArrayKind kind) {
  const uint64_t blocks = store_->array(kind).blocks();
  for (uint64_t begin = 0; begin < blocks;) {
    const uint64_t quarter = store_->free_metadata_blocks() / 4;
    const uint64_t end = std::min(blocks, begin + std::clamp<uint64_t>(quarter, 1, kMostBlocksAtOnce));
    DMCACHED_RETURN_IF_ERROR(RewriteDirty(kind, begin, end));
    DMCACHED_RETURN_IF_ERROR(Commit(false));
    begin = end;
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::RewriteDirty(ArrayKind kind, uint64_t begin, uint64_t end) {
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(end - begin));
  const PackedArray& array = store_->array(kind);
  std::vector<uint32_t> locations;
  for (uint64_t block = begin; block < end; ++block) locations.push_back(array.slots()[block].location);
  std::vector<BulkBlock> fresh;
  std::vector<uint64_t> indices;
  auto rewrite = [&](size_t i, std::span<const std::byte> old) {
    auto contents = std::make_shared<AlignedBuffer>(kMetadataBlockBytes);
    std::copy(old.begin(), old.end(), contents->data());
    const uint64_t first = (begin + i) * kArrayWordsPerBlock;
    for (uint64_t entry = 0; entry < array.EntriesIn(begin + i); ++entry) {
      std::byte* word = contents->data() + sizeof(DiskArrayBlockHeader) + entry * sizeof(uint64_t);
      if (kind == ArrayKind::kDirty) {
        StoreLe(word, states_.MappedWord(static_cast<uint32_t>(first + entry)));
      } else if (const uint64_t mapping = LoadLe<uint64_t>(word); (mapping & kMappingFlagValid) != 0) {
        StoreLe(word, mapping | kMappingFlagDirty);
      }
    }
    if (std::equal(old.begin(), old.end(), contents->data())) return absl::OkStatus();
    fresh.push_back({.location = store_->AllocateBulk(), .contents = std::move(contents)});
    indices.push_back(begin + i);
    return absl::OkStatus();
  };
  DMCACHED_RETURN_IF_ERROR(ReadArrayBlocks(*device_, locations, rewrite));
  std::vector<BulkBlock> writes = fresh;
  DMCACHED_RETURN_IF_ERROR(WriteBulk(*device_, writes));
  for (size_t i = 0; i < fresh.size(); ++i) store_->ReplaceBlock(kind, indices[i], fresh[i].location);
  return absl::OkStatus();
}

absl::Status CacheMetadata::DropStaleDiscards() {
  if (discarded_ == 0) return absl::OkStatus();
  discarded_ = 0;  // So that the rebuilt bitset is all zeros.
  Mutex unshared;
  const DiscardGeometry geometry = {superblock_.discard_block_size, superblock_.discard_blocks};
  return RunWithBlocks(unshared, *store_, [&](BlockSet& set) { return ResizeDiscards(geometry, set); });
}

}  // namespace dmcached
