// Store: the short phases of a commit, and snapshots of what is durable.
#include <algorithm>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/store/store.h"

namespace dmcached {

absl::Status Store::PrepareBlocks(Superblock& superblock, CommitBatch& batch) {
  std::array<MetadataBlock, kArrayKinds> roots{};
  for (size_t i = 0; i < kArrayKinds; ++i) {
    if (arrays_[i] == nullptr) continue;
    PackedArray& array = *arrays_[i];
    DMCACHED_RETURN_IF_ERROR(array.index().Prepare(array.slots(), space_map_, batch.buffers_, batch.writes_));
    roots[i] = array.index().root();
  }
  superblock.mapping_root = roots[static_cast<size_t>(ArrayKind::kMappings)];
  superblock.dirty_root = roots[static_cast<size_t>(ArrayKind::kDirty)];
  superblock.discard_root = roots[static_cast<size_t>(ArrayKind::kDiscards)];
  superblock.hint_root = roots[static_cast<size_t>(ArrayKind::kHints)];
  DMCACHED_RETURN_IF_ERROR(space_map_.Prepare(batch.buffers_, batch.writes_));
  superblock.space_map = space_map_.root();  // Only now, and only with the bitmaps that it counts.
  for (Frame* frame : running_frames_) {
    if (frame->slot == nullptr) {  // Its array was dropped, or cut, in this transaction.
      frame->state = Frame::State::kClean;
      FreeIfOrphan(frame);
      continue;
    }
    frame->state = Frame::State::kFrozen;
    frame->slot->running = false;
    frozen_frames_.push_back(frame);
    batch.writes_.push_back({MetadataBlock(frame->slot->location), BlockType::kArrayBlock, frame->data().data()});
  }
  running_frames_.clear();
  for (const Relocation& relocation : relocations_) {
    if (!rebuilt_[static_cast<size_t>(relocation.kind)]) batch.relocations_.push_back(relocation);
  }
  relocations_.clear();
  for (size_t i = 0; i < kArrayKinds; ++i) {
    if (!std::exchange(rebuilt_[i], false)) continue;
    std::vector<uint32_t> directory;
    if (arrays_[i] != nullptr) {
      for (const Slot& slot : arrays_[i]->slots()) directory.push_back(slot.location);
    }
    batch.directories_.emplace_back(static_cast<ArrayKind>(i), std::move(directory));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CommitBatch>> Store::Prepare(Superblock& superblock) {
  DMCACHED_CHECK(!commit_in_flight_);
  auto batch = std::make_unique<CommitBatch>();
  if (changed_blocks_) {
    DMCACHED_RETURN_IF_ERROR(PrepareBlocks(superblock, *batch));
  }
  batch->superblock_ = superblock;
  batch->transaction_ = transaction_++;
  changed_blocks_ = false;
  commit_in_flight_ = true;
  return batch;
}

void Store::Finish(std::unique_ptr<CommitBatch> batch) {
  DMCACHED_CHECK(commit_in_flight_);
  commit_in_flight_ = false;
  durable_transaction_ = batch->transaction_;
  durable_superblock_ = batch->superblock_;
  for (auto& [kind, directory] : batch->directories_) {
    durable_directories_[static_cast<size_t>(kind)] = std::move(directory);
  }
  for (const Relocation& relocation : batch->relocations_) {
    durable_directories_[static_cast<size_t>(relocation.kind)][relocation.index] = relocation.location;
  }
  for (Frame* frame : frozen_frames_) {
    frame->state = Frame::State::kClean;
    FreeIfOrphan(frame);
  }
  frozen_frames_.clear();
  PruneSnapshots();
  space_map_.Finish();
  cache_.Trim();
}

void Store::ShareSnapshots() {
  std::vector<const SpaceMap::Bits*> used;
  for (const auto& snapshot : snapshots_) used.push_back(&snapshot->used());
  space_map_.SetSnapshots(std::move(used));
}

std::shared_ptr<const Snapshot> Store::TakeSnapshot() {
  PruneSnapshots();
  if (!snapshots_.empty() && snapshots_.back()->transaction() == durable_transaction_) return snapshots_.back();
  if (snapshots_.size() == kMaxSnapshots) RevokeOldestSnapshot();
  snapshots_.push_back(std::make_shared<Snapshot>(durable_transaction_, durable_superblock_, durable_directories_,
                                                  space_map_.durable()));
  ShareSnapshots();
  return snapshots_.back();
}

bool Store::RevokeOldestSnapshot() {
  PruneSnapshots();
  if (snapshots_.empty()) return false;
  snapshots_.front()->Revoke();
  const std::shared_ptr<Snapshot> oldest = snapshots_.front();  // Lives until the space map forgot its bits.
  snapshots_.erase(snapshots_.begin());
  ShareSnapshots();
  return true;
}

void Store::RevokeAllSnapshots() {
  while (RevokeOldestSnapshot()) {
  }
}

size_t Store::PruneSnapshots() {
  std::vector<std::shared_ptr<Snapshot>> kept;
  for (const auto& snapshot : snapshots_) {
    if (snapshot.use_count() > 1) kept.push_back(snapshot);
  }
  if (kept.size() == snapshots_.size()) return kept.size();
  snapshots_.swap(kept);
  ShareSnapshots();
  return snapshots_.size();
}

}  // namespace dmcached
