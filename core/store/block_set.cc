#include "core/store/block_set.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/format/seal.h"
#include "core/store/store.h"

namespace dmcached {
namespace {

constexpr size_t kMaxRunBlocks = 256;  // 1 MiB in one read.

}  // namespace

BlockSet::~BlockSet() {
  DropMissing();
  DMCACHED_CHECK(pinned_.empty());
}

void BlockSet::DropMissing() {
  for (Missing& missing : missing_) delete missing.frame;
  missing_.clear();
}

bool BlockSet::too_large() const {
  const uint64_t allowed = store_->cache().budget_bytes() / kMetadataBlockBytes + kMaxPinnedBlocks;
  return named_.size() + missing_.size() > allowed;
}

bool BlockSet::NameFirst(PackedArray& array, uint64_t index, uint64_t mark) {
  Slot& slot = array.slot(index);
  const uint64_t read_mark = epoch_ * 2;
  const bool named_before = slot.mark == read_mark;
  if (mark != read_mark && !slot.running) ++copies_;
  slot.mark = mark;
  if (named_before) return slot.frame != nullptr;
  if (slot.frame != nullptr) {
    slot.referenced = true;
    named_.push_back(slot.frame);
    return true;
  }
  missing_.push_back({.kind = array.kind(),
                      .generation = array.generation(),
                      .index = index,
                      .location = slot.location,
                      .value_size = array.value_size(),
                      .entries = array.EntriesIn(index),
                      .frame = nullptr,
                      .status = absl::OkStatus()});
  return false;
}

void BlockSet::Begin() {
  epoch_ = store_->NextEpoch();
  if (id_ == 0) id_ = epoch_;
  durable_transaction_ = store_->durable_transaction();
  copies_ = 0;
  named_.clear();
}

void BlockSet::Pin() {
  store_->CountMisses(missing_.size());
  for (Frame* frame : named_) {
    ++frame->pins;
    pinned_.push_back(frame);
  }
  store_->cache().Trim(missing_.size());
}

void BlockSet::Unpin() {
  store_->CountHits(named_.size());
  named_.clear();
  DropMissing();
  for (Frame* frame : pinned_) {
    --frame->pins;
    FreeIfOrphan(frame);
  }
  pinned_.clear();
  store_->cache().Trim();
}

absl::Status BlockSet::Load() {
  if (!unwritten_.empty()) {
    DMCACHED_RETURN_IF_ERROR(WriteBulk(store_->device(), unwritten_));
    unwritten_.clear();
  }
  std::sort(missing_.begin(), missing_.end(),
            [](const Missing& a, const Missing& b) { return a.location < b.location; });
  for (size_t begin = 0; begin < missing_.size();) {
    size_t end = begin + 1;
    while (end < missing_.size() && end - begin < kMaxRunBlocks &&
           missing_[end].location == missing_[end - 1].location + 1) {
      ++end;
    }
    ReadRun(std::span(missing_).subspan(begin, end - begin));
    begin = end;
  }
  return absl::OkStatus();
}

void BlockSet::ReadRun(std::span<Missing> run) {
  std::vector<std::span<std::byte>> buffers;
  for (Missing& missing : run) {
    missing.frame = store_->cache().NewFrame();
    buffers.push_back(missing.frame->data());
  }
  const absl::Status read = store_->device().ReadV(BlockOffsetBytes(MetadataBlock(run.front().location)), buffers);
  for (Missing& missing : run) {
    const MetadataBlock location(missing.location);
    missing.status = read;
    if (read.ok()) missing.status = CheckBlock(BlockType::kArrayBlock, location, missing.frame->data());
    if (missing.status.ok()) {
      missing.status = CheckArrayHeader(location, missing.value_size, missing.entries, missing.frame->data());
    }
  }
}

absl::Status BlockSet::Install() {
  // A block that moved away and back while it was read would need two commits: then nothing that was read counts.
  const bool current = store_->durable_transaction() < durable_transaction_ + 2;
  absl::Status result;
  for (Missing& missing : missing_) {
    if (current && result.ok()) result = InstallOne(missing);
  }
  DropMissing();
  return result;
}

absl::Status BlockSet::InstallOne(Missing& missing) {
  if (!store_->has_array(missing.kind)) return absl::OkStatus();
  PackedArray& array = store_->array(missing.kind);
  if (array.generation() != missing.generation) return absl::OkStatus();
  Slot& slot = array.slot(missing.index);
  if (slot.frame != nullptr || slot.location != missing.location) return absl::OkStatus();
  if (!missing.status.ok()) return WithContext(missing.status, ArrayKindName(missing.kind));
  Frame* frame = std::exchange(missing.frame, nullptr);
  store_->cache().Adopt(frame, &slot);
  ++frame->pins;
  pinned_.push_back(frame);
  return absl::OkStatus();
}

}  // namespace dmcached
