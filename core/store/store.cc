#include "core/store/store.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/format/layout.h"

namespace dmcached {

Store::Store(std::shared_ptr<BlockDevice> device, SpaceMap space_map, uint64_t budget_bytes)
    : device_(std::move(device)), space_map_(std::move(space_map)), cache_(budget_bytes) {}

Store::~Store() {
  for (const std::vector<Frame*>* frames : {&running_frames_, &frozen_frames_}) {
    for (Frame* frame : *frames) {
      if (frame->slot == nullptr) delete frame;  // The others belong to the block cache.
    }
  }
}

absl::StatusOr<std::unique_ptr<Store>> Store::Format(std::shared_ptr<BlockDevice> device, uint32_t version,
                                                     uint64_t budget_bytes) {
  const uint64_t blocks = std::min(device->size_bytes() / kMetadataBlockBytes, kMaxMetadataBlocks);
  auto store = std::unique_ptr<Store>(new Store(std::move(device), SpaceMap::Create(blocks), budget_bytes));
  DMCACHED_ASSIGN_OR_RETURN(const MetadataBlock overflow, store->space_map_.Allocate());
  store->space_map_.set_ref_count_root(overflow);
  auto leaf = std::make_shared<AlignedBuffer>(kMetadataBlockBytes);
  auto& header = MutableDiskView<DiskBtreeNodeHeader>(leaf->span());
  header.flags.store(kBtreeLeaf);
  header.max_entries.store(kBtreeOverflowMaxEntries);
  header.value_size.store(sizeof(Le32));
  std::vector<BulkBlock> fresh = {{.location = overflow, .type = BlockType::kBtreeNode, .contents = std::move(leaf)}};
  DMCACHED_RETURN_IF_ERROR(WriteBulk(*store->device_, fresh));
  store->CreateArray(ArrayKind::kMappings, 0, {});
  if (version == 2) store->CreateArray(ArrayKind::kDirty, 0, {});
  store->CreateArray(ArrayKind::kDiscards, 0, {});
  return store;
}

uint64_t Store::index_nodes() const {
  uint64_t nodes = 0;
  for (const auto& array : arrays_) {
    if (array != nullptr) nodes += array->index().node_count();
  }
  return nodes;
}

uint64_t Store::kept_back() const { return index_nodes() + space_map_.bitmap_count() + 1; }

absl::Status Store::CheckSpace(uint64_t blocks, uint64_t extra_nodes) {
  const uint64_t needed = blocks + extra_nodes + kept_back();
  if (space_map_.allocatable_blocks() >= needed) return absl::OkStatus();
  return MakeError(Reason::kMetadataNoSpace,
                   absl::StrCat("the change needs ", needed, " free metadata blocks (", kept_back(),
                                " of them kept back for the commit), ", space_map_.allocatable_blocks(), " of ",
                                space_map_.blocks(), " are free"));
}

Frame* Store::CopyFrozen(Slot& slot) {
  Frame* frozen = slot.frame;
  Frame* copy = cache_.NewFrame();
  CopyUnsealed(frozen->data(), copy->data());
  cache_.Drop(frozen);
  cache_.Adopt(copy, &slot);
  return copy;
}

void Store::MakeWritable(ArrayKind kind, uint64_t index) {
  Slot& slot = array(kind).slot(index);
  Frame* frame = slot.frame;
  DMCACHED_CHECK(frame != nullptr);
  if (frame->state == Frame::State::kFrozen) frame = CopyFrozen(slot);
  space_map_.Release(MetadataBlock(slot.location));
  const absl::StatusOr<MetadataBlock> location = space_map_.Allocate();
  DMCACHED_CHECK(location.ok());  // CheckSpace came before.
  slot.location = static_cast<uint32_t>(location->value());
  frame->state = Frame::State::kRunning;
  slot.running = true;
  running_frames_.push_back(frame);
  relocations_.push_back({kind, index, slot.location});
  array(kind).index().MarkChanged(index);
  changed_blocks_ = true;
}

MetadataBlock Store::AllocateBulk() {
  const absl::StatusOr<MetadataBlock> location = space_map_.Allocate();
  DMCACHED_CHECK(location.ok());  // CheckSpace came before.
  changed_blocks_ = true;
  return *location;
}

void Store::ReplaceBlock(ArrayKind kind, uint64_t index, MetadataBlock location) {
  Slot& slot = array(kind).slot(index);
  if (slot.frame != nullptr) cache_.Drop(slot.frame);
  space_map_.Release(MetadataBlock(slot.location));
  slot.location = static_cast<uint32_t>(location.value());
  relocations_.push_back({kind, index, slot.location});
  array(kind).index().MarkChanged(index);
  changed_blocks_ = true;
}

void Store::ResizeArray(ArrayKind kind, uint64_t entries, const std::vector<BulkBlock>& fresh) {
  PackedArray& old = array(kind);
  const uint64_t blocks = CeilDiv(entries, old.per_block());
  const uint64_t kept = std::min(blocks, old.blocks());
  DMCACHED_CHECK(kept + fresh.size() == blocks);
  for (uint64_t i = kept; i < old.slots_.size(); ++i) {
    if (old.slots_[i].frame != nullptr) cache_.Drop(old.slots_[i].frame);
    space_map_.Release(MetadataBlock(old.slots_[i].location));
  }
  old.slots_.resize(kept);
  for (const BulkBlock& block : fresh) {
    old.slots_.push_back({.location = static_cast<uint32_t>(block.location.value())});
  }
  for (Slot& slot : old.slots_) {
    if (slot.frame != nullptr) slot.frame->slot = &slot;
  }
  old.index_.ReleaseAll(space_map_);
  old.index_ = IndexTree::Build(blocks);
  old.entries_ = entries;
  old.generation_ = ++generation_;
  rebuilt_[static_cast<size_t>(kind)] = true;
  changed_blocks_ = true;
}

void Store::ReleaseArray(PackedArray& old) {
  for (Slot& slot : old.slots_) {
    if (slot.frame != nullptr) cache_.Drop(slot.frame);
    space_map_.Release(MetadataBlock(slot.location));
  }
  old.index_.ReleaseAll(space_map_);
  rebuilt_[static_cast<size_t>(old.kind())] = true;
  changed_blocks_ = true;
}

void Store::CreateArray(ArrayKind kind, uint64_t entries, const std::vector<BulkBlock>& fresh) {
  if (has_array(kind)) ReleaseArray(array(kind));
  std::vector<Slot> slots;
  slots.reserve(fresh.size());
  for (const BulkBlock& block : fresh) slots.push_back({.location = static_cast<uint32_t>(block.location.value())});
  arrays_[static_cast<size_t>(kind)] =
      std::make_unique<PackedArray>(kind, ++generation_, entries, std::move(slots), IndexTree::Build(fresh.size()));
  rebuilt_[static_cast<size_t>(kind)] = true;
  changed_blocks_ = true;
}

void Store::DropArray(ArrayKind kind) {
  if (!has_array(kind)) return;
  ReleaseArray(array(kind));
  arrays_[static_cast<size_t>(kind)].reset();
}

bool Store::running_frames_over_half() const {
  return running_frames_.size() * kMetadataBlockBytes > cache_.budget_bytes() / 2;
}

}  // namespace dmcached
