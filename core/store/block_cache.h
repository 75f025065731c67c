// Array blocks in memory, as they are on disk, within a budget.
//
// Only clean frames are evicted.  Frames of the running transaction (kRunning) and of the commit in flight (kFrozen)
// stay; so do pinned ones.  Adopt never evicts, so a frame in use by the operation at hand cannot vanish: Trim, at the
// end of an operation and before it reads blocks, brings the cache back to its budget.
#ifndef DMCACHED_CORE_STORE_BLOCK_CACHE_H_
#define DMCACHED_CORE_STORE_BLOCK_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/ids.h"
#include "core/format/layout.h"
#include "core/store/frame_pool.h"

namespace dmcached {

struct Frame;

// One array block of the directory: where it is, and its frame when it is resident.
struct Slot {
  Frame* frame = nullptr;
  std::byte* bytes = nullptr;  // The frame's, so that reading an entry does not go through the frame.
  uint64_t mark = 0;           // Who named it last (BlockSet): epoch * 2, plus 1 if it is to be changed.
  uint32_t location = 0;       // Metadata block; every metadata block number fits.
  bool running = false;        // The frame is kRunning.
  bool referenced = false;     // Since the clock hand came by.  Here: naming a block does not touch its frame.
};

struct Frame {
  enum class State : uint8_t { kClean, kRunning, kFrozen };

  explicit Frame(FramePool& from) : pool(from), bytes(from.Take()) {}
  ~Frame() { pool.GiveBack(bytes); }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

  std::span<std::byte> data() const { return {bytes, kMetadataBlockBytes}; }

  FramePool& pool;
  std::byte* const bytes;
  Slot* slot = nullptr;  // Null: a newer frame took its place, or it is not linked yet.
  uint32_t pins = 0;
  State state = State::kClean;
  size_t position = 0;  // In BlockCache's list.
};

// Frees a frame that no slot, no pin and no transaction needs any more.
void FreeIfOrphan(Frame* frame);

class BlockCache {  // Not thread-safe, but for NewFrame.
 public:
  explicit BlockCache(uint64_t budget_bytes) : budget_bytes_(budget_bytes) {}
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // A frame outside the cache, to be read into without a lock.  Adopt or delete it.
  Frame* NewFrame() { return new Frame(pool_); }
  // Links `frame` to `slot` and counts it.
  void Adopt(Frame* frame, Slot* slot);
  // Unlinks; frees unless a pin or a transaction still needs it, which then does (FreeIfOrphan).
  void Drop(Frame* frame);
  // Evicts clean, unpinned frames until the budget holds, with `coming` frames more, or none is left.
  void Trim(size_t coming = 0);

  uint64_t bytes() const { return frames_.size() * kMetadataBlockBytes; }
  uint64_t budget_bytes() const { return budget_bytes_; }

 private:
  const uint64_t budget_bytes_;
  FramePool pool_;
  std::vector<Frame*> frames_;
  size_t hand_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_BLOCK_CACHE_H_
