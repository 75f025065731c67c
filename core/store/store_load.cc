// Store: opening what is on a device.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"
#include "core/store/store.h"

namespace dmcached {

absl::StatusOr<std::unique_ptr<Store>> Store::Load(std::shared_ptr<BlockDevice> device, const Superblock& superblock,
                                                   uint64_t budget_bytes) {
  absl::Status damage;
  DMCACHED_ASSIGN_OR_RETURN(SpaceMap space_map, SpaceMap::Load(*device, superblock.space_map, damage));
  auto store = std::unique_ptr<Store>(new Store(std::move(device), std::move(space_map), budget_bytes));
  store->damage_ = damage;
  store->durable_superblock_ = superblock;
  store->claimed_.resize(CeilDiv(store->space_map_.blocks(), 64));
  DMCACHED_RETURN_IF_ERROR(store->Claim(MetadataBlock(kSuperblockLocation), "superblock"));
  for (const MetadataBlock block : store->space_map_.own_blocks()) {
    DMCACHED_RETURN_IF_ERROR(store->Claim(block, "space map"));
  }
  DMCACHED_RETURN_IF_ERROR(store->Claim(store->space_map_.ref_count_root(), "overflow tree"));
  DMCACHED_RETURN_IF_ERROR(store->LoadArrays(superblock));
  store->claimed_ = {};
  return store;
}

absl::Status Store::Claim(MetadataBlock block, const char* what) {
  if (block.value() >= space_map_.blocks()) {
    return MakeError(Reason::kMetadataCorrupt,
                     absl::StrCat(what, ": refers to block ", block.value(), " of ", space_map_.blocks()));
  }
  uint64_t& word = claimed_[block.value() / 64];
  const uint64_t bit = uint64_t{1} << (block.value() % 64);
  if ((word & bit) != 0) {
    return MakeError(Reason::kMetadataCorrupt, absl::StrCat(what, ": block ", block.value(), " is used twice"));
  }
  word |= bit;
  if (!space_map_.used(block) && damage_.ok()) {
    damage_ = MakeError(Reason::kMetadataCorrupt,
                        absl::StrCat(what, ": block ", block.value(), " is in use but free in the space map"));
  }
  return absl::OkStatus();
}

absl::Status Store::LoadArrays(const Superblock& superblock) {
  DMCACHED_RETURN_IF_ERROR(LoadArray(ArrayKind::kMappings, superblock.mapping_root, superblock.cache_blocks));
  if (superblock.version == 2) {
    DMCACHED_RETURN_IF_ERROR(
        LoadArray(ArrayKind::kDirty, superblock.dirty_root, CeilDiv(superblock.cache_blocks, kBitsPerWord)));
  }
  DMCACHED_RETURN_IF_ERROR(
      LoadArray(ArrayKind::kDiscards, superblock.discard_root, CeilDiv(superblock.discard_blocks, kBitsPerWord)));
  if (superblock.hint_root.value() == 0) return absl::OkStatus();
  return LoadArray(ArrayKind::kHints, superblock.hint_root, superblock.cache_blocks);
}

absl::Status Store::ClaimArrayBlocks(const std::vector<uint32_t>& locations, ArrayKind kind) {
  for (const uint32_t location : locations) {
    const absl::Status claimed = Claim(MetadataBlock(location), ArrayKindName(kind));
    if (claimed.ok()) continue;
    if (location >= space_map_.blocks()) return claimed;
    if (damage_.ok()) damage_ = claimed;
  }
  return absl::OkStatus();
}

absl::Status Store::LoadArray(ArrayKind kind, MetadataBlock root, uint64_t entries) {
  const char* name = ArrayKindName(kind);
  std::vector<uint32_t> locations;
  auto claim = [&](MetadataBlock block) { return Claim(block, name); };
  absl::StatusOr<IndexTree> index = IndexTree::Load(*device_, root, claim, locations);
  if (!index.ok()) return WithContext(index.status(), name);
  // More than there are blocks: some are named twice, and memory must not follow such a tree.
  if (locations.size() > space_map_.blocks()) {
    return MakeError(Reason::kMetadataCorrupt, absl::StrCat(name, ": ", locations.size(), " blocks in the index at ",
                                                            root.value(), " of a device of ", space_map_.blocks()));
  }
  DMCACHED_RETURN_IF_ERROR(ClaimArrayBlocks(locations, kind));
  if (kind == ArrayKind::kHints) {
    // The length of a hint array is written nowhere: it may be shorter or longer than the cache.
    DMCACHED_ASSIGN_OR_RETURN(const uint64_t found, LoadHintEntries(locations));
    entries = std::min(entries, found);
  }
  const uint64_t blocks = CeilDiv(entries, PackedArray::PerBlock(kind));
  if (locations.size() < blocks) {
    return MakeError(Reason::kMetadataCorrupt, absl::StrCat(name, ": ", locations.size(), " blocks in the index at ",
                                                            root.value(), ", ", entries, " entries need ", blocks));
  }
  std::vector<Slot> slots(locations.size());
  for (size_t i = 0; i < slots.size(); ++i) slots[i].location = locations[i];
  arrays_[static_cast<size_t>(kind)] =
      std::make_unique<PackedArray>(kind, ++generation_, entries, std::move(slots), *std::move(index));
  durable_directories_[static_cast<size_t>(kind)] = std::move(locations);
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> Store::LoadHintEntries(const std::vector<uint32_t>& locations) {
  if (locations.empty()) return uint64_t{0};
  const uint64_t full = (locations.size() - 1) * uint64_t{kHintsPerBlock};
  const MetadataBlock last(locations.back());
  AlignedBuffer block(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device_->Read(BlockOffsetBytes(last), block.span()));
  absl::Status checked = CheckBlock(BlockType::kArrayBlock, last, block.span());
  if (checked.ok()) checked = CheckArrayHeader(last, kHintBytes, 0, block.span());
  if (!checked.ok()) {
    if (damage_.ok()) damage_ = WithContext(checked, ArrayKindName(ArrayKind::kHints));
    return full;
  }
  return full + DiskView<DiskArrayBlockHeader>(block.span()).nr_entries.load();
}

}  // namespace dmcached
