// The array blocks that one request reads or changes, and how the missing ones get into memory.
//
// An operation of the engine never does I/O.  It names the blocks it needs in a BlockSet; if some are not resident it
// returns without an effect, the caller reads them without holding the cache's mutex, and calls it again
// (RunWithBlocks).  So neither a look-up nor a mutation keeps others waiting for a device.
#ifndef DMCACHED_CORE_STORE_BLOCK_SET_H_
#define DMCACHED_CORE_STORE_BLOCK_SET_H_

#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/store/array_kind.h"
#include "core/store/block_cache.h"
#include "core/store/bulk_writer.h"
#include "core/store/packed_array.h"

namespace dmcached {

class Store;

// Blocks that one request may pin beyond the cache's budget.
inline constexpr size_t kMaxPinnedBlocks = 8192;

class BlockSet {  // Not thread-safe; used by one request.
 public:
  explicit BlockSet(Store& store) : store_(&store) {}
  ~BlockSet();  // Under the cache's mutex if the set was ever incomplete; RunWithBlocksHolding sees to it.
  BlockSet(const BlockSet&) = delete;
  BlockSet& operator=(const BlockSet&) = delete;

  // Names block `index` of `array`; true if it is resident.  Naming it again costs one comparison.
  bool Read(PackedArray& array, uint64_t index) { return Name(array, index, epoch_ * 2); }
  // The same for a block that will be changed.
  bool Change(PackedArray& array, uint64_t index) { return Name(array, index, epoch_ * 2 + 1); }

  // Whether every block named so far is resident and every bulk block is written: the operation may go on.
  bool complete() const { return missing_.empty() && unwritten_.empty(); }
  // Named blocks whose change needs a new location: what the request takes from the free blocks.
  uint64_t copies() const { return copies_; }
  // More blocks than one request may pin beyond the cache's budget.
  bool too_large() const;

  // Fresh blocks that the operation had allocated in an earlier round; written before the next one.
  void WriteLater(std::vector<BulkBlock> blocks) { unwritten_ = std::move(blocks); }

  // Of this request, unlike its address; 0 before the first round.
  uint64_t id() const { return id_; }

  // Starts a round: forgets what was named, keeps pins.  Under the mutex.
  void Begin();
  // Ends an incomplete round: pins what is resident.  Under the mutex.
  void Pin();
  // Reads the missing blocks, writes the bulk ones.  Without the mutex.  Errors: kDataLoss, kInternal.
  // An error of a read is kept and judged by Install, because the block may have moved meanwhile.
  absl::Status Load();
  // Puts what was read where it belongs; what moved meanwhile is dropped.  Under the mutex.
  absl::Status Install();
  // Drops every pin.  Under the mutex.
  void Unpin();

 private:
  struct Missing {
    ArrayKind kind;
    uint64_t generation;
    uint64_t index;
    uint32_t location;
    uint32_t value_size;
    uint64_t entries;        // That the block must hold.
    Frame* frame = nullptr;  // Read into, not linked to a slot yet.
    absl::Status status;
  };

  bool Name(PackedArray& array, uint64_t index, uint64_t mark) {
    const Slot& slot = array.slot(index);
    // No mark is above those of this round, which began last.
    return slot.mark >= mark ? slot.frame != nullptr : NameFirst(array, index, mark);
  }
  bool NameFirst(PackedArray& array, uint64_t index, uint64_t mark);
  absl::Status InstallOne(Missing& missing);
  void DropMissing();
  void ReadRun(std::span<Missing> run);

  Store* store_;
  uint64_t id_ = 0;
  uint64_t epoch_ = 0;
  uint64_t durable_transaction_ = 0;  // When the round began.
  uint64_t copies_ = 0;
  std::vector<Missing> missing_;
  std::vector<Frame*> named_;  // Resident ones of this round.
  std::vector<Frame*> pinned_;
  std::vector<BulkBlock> unwritten_;
};

// Runs `op(BlockSet&) -> Result` (an absl::Status or StatusOr) under `mutex` until it was complete; the mutex is let go
// of only while blocks are read and written, so what was read before the call may be stale afterwards.  `op` must have
// no effect while `set.complete()` is false.  An I/O error or damage ends it with that status.
template <typename Op>
std::invoke_result_t<Op&, BlockSet&> RunWithBlocksHolding(Mutex& mutex, Store& store, Op op)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
  BlockSet set(store);
  absl::Status loaded = absl::OkStatus();
  for (;;) {
    if (loaded.ok()) loaded = set.Install();
    if (!loaded.ok()) {
      set.Unpin();
      return loaded;
    }
    set.Begin();
    auto result = op(set);
    if (set.complete()) {
      set.Unpin();
      return result;
    }
    if (set.too_large()) {
      set.Unpin();
      return MakeError(Reason::kTooManyBlocks, "the request touches more metadata blocks than one request may");
    }
    set.Pin();
    mutex.Unlock();
    loaded = set.Load();
    mutex.Lock();
  }
}

// The same for who does not hold the mutex.
template <typename Op>
std::invoke_result_t<Op&, BlockSet&> RunWithBlocks(Mutex& mutex, Store& store, Op op) {
  MutexLock lock(mutex);
  return RunWithBlocksHolding(mutex, store, std::move(op));
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_BLOCK_SET_H_
