#include "core/store/space_map.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"

namespace dmcached {
namespace {

constexpr uint64_t kBits = 64;
constexpr uint64_t kWordsPerBitmap = kEntriesPerBitmap / kBits;
static_assert(kEntriesPerBitmap % kBits == 0, "a bitmap block covers whole words of the bits in memory");

// Bit i of the low half goes to bit 2i + 1: a count of 1 is stored as the two-bit field 0b10.
uint64_t SpreadToCounts(uint64_t half) {
  uint64_t x = half & 0xFFFFFFFF;
  x = (x | (x << 16)) & 0x0000FFFF0000FFFF;
  x = (x | (x << 8)) & 0x00FF00FF00FF00FF;
  x = (x | (x << 4)) & 0x0F0F0F0F0F0F0F0F;
  x = (x | (x << 2)) & 0x3333333333333333;
  x = (x | (x << 1)) & 0x5555555555555555;
  return x << 1;
}

// The even bits of `word`, side by side.
uint64_t GatherEven(uint64_t word) {
  uint64_t x = word & 0x5555555555555555;
  x = (x | (x >> 1)) & 0x3333333333333333;
  x = (x | (x >> 2)) & 0x0F0F0F0F0F0F0F0F;
  x = (x | (x >> 4)) & 0x00FF00FF00FF00FF;
  x = (x | (x >> 8)) & 0x0000FFFF0000FFFF;
  x = (x | (x >> 16)) & 0x00000000FFFFFFFF;
  return x;
}

absl::Status Damaged(absl::string_view what) { return MakeError(Reason::kMetadataCorrupt, what); }

}  // namespace

SpaceMap::SpaceMap(uint64_t blocks)
    : blocks_(blocks), running_(CeilDiv(blocks, kBits)), bitmaps_(CeilDiv(blocks, kEntriesPerBitmap)) {}

SpaceMap SpaceMap::Create(uint64_t blocks) {
  DMCACHED_CHECK(blocks > 0 && blocks <= kMaxMetadataBlocks);
  SpaceMap map(blocks);
  map.running_[0] = 1;
  map.committing_ = map.running_;
  map.durable_ = map.running_;
  for (Bitmap& bitmap : map.bitmaps_) bitmap.changed = true;
  map.free_ = blocks - 1;
  map.Recompute();
  return map;
}

absl::StatusOr<SpaceMap> SpaceMap::Load(BlockDevice& device, const SpaceMapRoot& root, absl::Status& damage) {
  if (root.blocks == 0 || root.blocks > kMaxMetadataBlocks || root.blocks > device.size_bytes() / kMetadataBlockBytes) {
    return Damaged(absl::StrCat("space map: it manages ", root.blocks, " blocks, the device has ",
                                device.size_bytes() / kMetadataBlockBytes));
  }
  if (root.index_block.value() == 0 || root.index_block.value() >= root.blocks) {
    return Damaged(absl::StrCat("space map: index block at ", root.index_block.value(), " of ", root.blocks));
  }
  SpaceMap map(root.blocks);
  map.index_block_ = root.index_block;
  map.ref_count_root_ = root.ref_count_root;
  AlignedBuffer index(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device.Read(BlockOffsetBytes(root.index_block), index.span()));
  DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kSpaceMapIndex, root.index_block, index.span()));
  const auto& entries = DiskView<DiskIndexBlock>(index.span()).entries;
  for (size_t i = 0; i < map.bitmaps_.size(); ++i) {
    DMCACHED_RETURN_IF_ERROR(map.LoadBitmap(device, i, MetadataBlock(entries[i].blocknr.load()), damage));
  }
  DMCACHED_RETURN_IF_ERROR(map.CheckOverflowTree(device, damage));
  map.free_ = root.blocks;
  for (const uint64_t word : map.running_) map.free_ -= static_cast<uint64_t>(std::popcount(word));
  map.committing_ = map.running_;
  map.durable_ = map.running_;
  map.Recompute();
  return map;
}

absl::Status SpaceMap::LoadBitmap(BlockDevice& device, size_t index, MetadataBlock location, absl::Status& damage) {
  if (location.value() == 0 || location.value() >= blocks_) {
    return Damaged(absl::StrCat("space map: bitmap ", index, " at block ", location.value(), " of ", blocks_));
  }
  bitmaps_[index].location = location;
  AlignedBuffer block(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device.Read(BlockOffsetBytes(location), block.span()));
  DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kSpaceMapBitmap, location, block.span()));
  const auto& words = DiskView<DiskBitmapBlock>(block.span()).words;
  const uint64_t first = index * kWordsPerBitmap;
  const uint64_t count = std::min<uint64_t>(kWordsPerBitmap, running_.size() - first);
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t low = words[2 * i].load();
    const uint64_t high = words[2 * i + 1].load();
    uint64_t twos = GatherEven(low) | (GatherEven(high) << 32);
    uint64_t used = twos | GatherEven(low >> 1) | (GatherEven(high >> 1) << 32);
    const uint64_t base = (first + i) * kBits;
    if (base + kBits > blocks_) {
      const uint64_t mask = (uint64_t{1} << (blocks_ - base)) - 1;
      twos &= mask;
      used &= mask;
    }
    if (twos != 0 && damage.ok()) {
      damage = Damaged(absl::StrCat("space map: block ", base + static_cast<uint64_t>(std::countr_zero(twos)),
                                    " has a reference count above 1"));
    }
    running_[first + i] = used;
  }
  return absl::OkStatus();
}

absl::Status SpaceMap::CheckOverflowTree(BlockDevice& device, absl::Status& damage) {
  if (ref_count_root_.value() == 0 || ref_count_root_.value() >= blocks_) {
    return Damaged(absl::StrCat("space map: overflow tree at block ", ref_count_root_.value(), " of ", blocks_));
  }
  AlignedBuffer block(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device.Read(BlockOffsetBytes(ref_count_root_), block.span()));
  DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kBtreeNode, ref_count_root_, block.span()));
  const auto& header = DiskView<DiskBtreeNodeHeader>(block.span());
  if ((header.nr_entries.load() != 0 || header.flags.load() != kBtreeLeaf) && damage.ok()) {
    damage = Damaged(absl::StrCat("space map: the overflow tree at block ", ref_count_root_.value(), " is not empty"));
  }
  return absl::OkStatus();
}

absl::StatusOr<MetadataBlock> SpaceMap::Allocate() {
  if (allocatable_ == 0) {
    return MakeError(Reason::kMetadataNoSpace, absl::StrCat("no free metadata block among ", blocks_));
  }
  uint64_t word = cursor_ / kBits;
  uint64_t passed = (uint64_t{1} << (cursor_ % kBits)) - 1;  // Bits of the first word that the cursor has gone past.
  for (size_t words = 0; words <= unavailable_.size(); ++words, passed = 0) {
    const uint64_t free_bits = ~(unavailable_[word] | passed);
    if (free_bits != 0) {
      const uint64_t block = word * kBits + static_cast<uint64_t>(std::countr_zero(free_bits));
      SetBit(block, true);
      --allocatable_;
      cursor_ = block + 1 == blocks_ ? 0 : block + 1;
      return MetadataBlock(block);
    }
    word = word + 1 == unavailable_.size() ? 0 : word + 1;
  }
  DMCACHED_UNREACHABLE("allocatable blocks were counted but not found");
}

void SpaceMap::SetBit(uint64_t block, bool used) {
  const uint64_t word = block / kBits;
  const uint64_t bit = uint64_t{1} << (block % kBits);
  DMCACHED_CHECK(((running_[word] & bit) != 0) != used);
  if (used) {
    running_[word] |= bit;
    unavailable_[word] |= bit;
    --free_;
  } else {
    running_[word] &= ~bit;
    ++free_;
  }
  bitmaps_[block / kEntriesPerBitmap].changed = true;
}

void SpaceMap::Release(MetadataBlock block) {
  SetBit(block.value(), false);
  const uint64_t word = block.value() / kBits;
  const uint64_t bit = uint64_t{1} << (block.value() % kBits);
  bool held = ((committing_[word] | durable_[word]) & bit) != 0;
  for (const Bits* snapshot : snapshots_) held = held || ((*snapshot)[word] & bit) != 0;
  if (held) return;
  unavailable_[word] &= ~bit;
  ++allocatable_;
}

bool SpaceMap::used(MetadataBlock block) const {
  return ((running_[block.value() / kBits] >> (block.value() % kBits)) & 1) != 0;
}

std::vector<MetadataBlock> SpaceMap::own_blocks() const {
  std::vector<MetadataBlock> blocks = {index_block_};
  for (const Bitmap& bitmap : bitmaps_) blocks.push_back(bitmap.location);
  return blocks;
}

void SpaceMap::Recompute() {
  unavailable_.resize(running_.size());
  uint64_t taken = 0;
  for (size_t i = 0; i < running_.size(); ++i) {
    uint64_t word = running_[i] | committing_[i] | durable_[i];
    for (const Bits* snapshot : snapshots_) word |= (*snapshot)[i];
    unavailable_[i] = word;
    taken += static_cast<uint64_t>(std::popcount(word));
  }
  allocatable_ = blocks_ - taken;
  if (blocks_ % kBits != 0) unavailable_.back() |= ~((uint64_t{1} << (blocks_ % kBits)) - 1);
}

void SpaceMap::SetSnapshots(std::vector<const Bits*> snapshots) {
  snapshots_ = std::move(snapshots);
  Recompute();
}

absl::Status SpaceMap::Relocate(MetadataBlock& location) {
  if (location.value() != 0) Release(location);
  DMCACHED_ASSIGN_OR_RETURN(location, Allocate());
  return absl::OkStatus();
}

absl::Status SpaceMap::Prepare(std::vector<AlignedBuffer>& buffers, std::vector<PendingWrite>& writes) {
  DMCACHED_RETURN_IF_ERROR(Relocate(index_block_));
  std::vector<bool> moved(bitmaps_.size());
  for (bool again = true; again;) {
    again = false;
    for (size_t i = 0; i < bitmaps_.size(); ++i) {
      if (!bitmaps_[i].changed || moved[i]) continue;
      DMCACHED_RETURN_IF_ERROR(Relocate(bitmaps_[i].location));
      moved[i] = true;
      again = true;  // The move may have changed a bitmap that was looked at already.
    }
  }
  for (size_t i = 0; i < bitmaps_.size(); ++i) {
    if (!moved[i]) continue;
    AlignedBuffer& block = buffers.emplace_back(kMetadataBlockBytes);
    PackBitmap(i, block.span());
    writes.push_back({bitmaps_[i].location, BlockType::kSpaceMapBitmap, block.data()});
    bitmaps_[i].changed = false;
  }
  AlignedBuffer& block = buffers.emplace_back(kMetadataBlockBytes);
  PackIndex(block.span());
  writes.push_back({index_block_, BlockType::kSpaceMapIndex, block.data()});
  committing_ = running_;
  return absl::OkStatus();
}

void SpaceMap::Finish() {
  durable_ = committing_;
  Recompute();
}

void SpaceMap::PackBitmap(size_t index, std::span<std::byte> block) const {
  auto& words = MutableDiskView<DiskBitmapBlock>(block).words;
  const uint64_t first = index * kWordsPerBitmap;
  const uint64_t count = std::min<uint64_t>(kWordsPerBitmap, running_.size() - first);
  for (uint64_t i = 0; i < count; ++i) {
    words[2 * i].store(SpreadToCounts(running_[first + i]));
    words[2 * i + 1].store(SpreadToCounts(running_[first + i] >> 32));
  }
}

uint64_t SpaceMap::UsedIn(size_t bitmap) const {
  uint64_t used = 0;
  const uint64_t end = std::min<uint64_t>((bitmap + 1) * kWordsPerBitmap, running_.size());
  for (uint64_t i = bitmap * kWordsPerBitmap; i < end; ++i) used += static_cast<uint64_t>(std::popcount(running_[i]));
  return used;
}

void SpaceMap::PackIndex(std::span<std::byte> block) const {
  auto& entries = MutableDiskView<DiskIndexBlock>(block).entries;
  for (size_t i = 0; i < bitmaps_.size(); ++i) {
    uint64_t word = i * kWordsPerBitmap;
    const uint64_t end = std::min<uint64_t>((i + 1) * kWordsPerBitmap, running_.size());
    while (word < end && ~running_[word] == 0) ++word;
    uint64_t first_free = kEntriesPerBitmap;
    if (word < end) {
      first_free = word * kBits + static_cast<uint64_t>(std::countr_one(running_[word])) - i * kEntriesPerBitmap;
    }
    entries[i].blocknr.store(bitmaps_[i].location.value());
    // As the kernel counts it: also the blocks past the end of the last bitmap are free.
    entries[i].nr_free.store(static_cast<uint32_t>(kEntriesPerBitmap - UsedIn(i)));
    entries[i].none_free_before.store(static_cast<uint32_t>(first_free));
  }
}

SpaceMapRoot SpaceMap::root() const {
  return {
      .blocks = blocks_, .allocated = blocks_ - free_, .index_block = index_block_, .ref_count_root = ref_count_root_};
}

}  // namespace dmcached
