#include "core/store/block_cache.h"

#include <algorithm>

#include "core/base/check.h"

namespace dmcached {

void FreeIfOrphan(Frame* frame) {
  if (frame->slot == nullptr && frame->pins == 0 && frame->state == Frame::State::kClean) delete frame;
}

BlockCache::~BlockCache() {
  for (Frame* frame : frames_) delete frame;
}

void BlockCache::Adopt(Frame* frame, Slot* slot) {
  DMCACHED_CHECK(slot->frame == nullptr);
  frame->slot = slot;
  frame->position = frames_.size();
  slot->frame = frame;
  slot->bytes = frame->bytes;
  slot->running = frame->state == Frame::State::kRunning;
  slot->referenced = true;
  frames_.push_back(frame);
}

void BlockCache::Drop(Frame* frame) {
  frame->slot->frame = nullptr;
  frame->slot->bytes = nullptr;
  frame->slot->running = false;
  frame->slot = nullptr;
  frames_.back()->position = frame->position;
  frames_[frame->position] = frames_.back();
  frames_.pop_back();
  FreeIfOrphan(frame);
}

void BlockCache::Trim(size_t coming) {
  const size_t most = budget_bytes_ / kMetadataBlockBytes;
  const size_t kept = most - std::min(most, coming);
  if (frames_.size() <= kept) return;
  // Bounded, because every frame may be needed: a commit frees them, and the next operation goes on here.
  size_t steps = std::min(2 * frames_.size(), 64 + 8 * (frames_.size() - kept));
  while (frames_.size() > kept && steps > 0) {
    --steps;
    if (hand_ >= frames_.size()) hand_ = 0;
    Frame* frame = frames_[hand_];
    if (frame->state != Frame::State::kClean || frame->pins > 0) {
      ++hand_;
    } else if (frame->slot->referenced) {
      frame->slot->referenced = false;
      ++hand_;
    } else {
      Drop(frame);
    }
  }
}

}  // namespace dmcached
