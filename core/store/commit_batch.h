// One prepared transaction on its way to the device: frozen frames, index nodes, bitmaps and the superblock.
#ifndef DMCACHED_CORE_STORE_COMMIT_BATCH_H_
#define DMCACHED_CORE_STORE_COMMIT_BATCH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/base/aligned_buffer.h"
#include "core/base/executor.h"
#include "core/base/ids.h"
#include "core/device/block_device.h"
#include "core/format/seal.h"
#include "core/format/superblock.h"
#include "core/store/array_kind.h"

namespace dmcached {

// A block to be sealed and written; until Finish only the writer may change `data`: checksum and location.
struct PendingWrite {
  MetadataBlock location;
  BlockType type;
  std::byte* data;
};

class CommitBatch {
 public:
  // Seals the blocks and writes them, neighbours in one request; flushes; writes block 0; flushes.
  // Touches nothing of the store, so it runs without the cache's mutex.  Stops before its next step once `stop` is set.
  // `helper`: where a second thread seals and writes a part of a batch that is large(); null: all is done here. Errors:
  // kInternal EIO, kResourceExhausted ENOSPC, kUnknown (OUTCOME_UNKNOWN: stopped); then the cache is failed.
  absl::Status Write(BlockDevice& device, const std::atomic<bool>& stop, Executor* helper = nullptr);

  // Whether a helper is worth to be woken, and copies are not worth to be made.
  bool large() const { return writes_.size() >= 2 * kPartBlocks; }
  uint64_t transaction() const { return transaction_; }
  // Blocks that Write writes, the superblock included.
  uint64_t written_blocks() const { return writes_.size() + 1; }
  // Whether the superblock of the batch says CLEAN_SHUTDOWN.
  bool clean() const { return superblock_.clean_shutdown; }
  // Whether Write reached block 0: if not, the transaction is lost for certain.
  bool superblock_started() const { return superblock_started_; }

 private:
  friend class Store;

  // Where an array block is in this transaction.
  struct Relocation {
    ArrayKind kind;
    uint64_t index;
    uint32_t location;
  };

  // What one thread writes before it takes the next part: 512 KiB.
  static constexpr size_t kPartBlocks = 128;

  absl::Status WriteBlocks(BlockDevice& device, const std::atomic<bool>& stop, Executor* helper);
  // A small batch is copied before it is sealed: memory that a disk has read is slow to be written again, and the next
  // transaction would do that under the cache's mutex, in its first changes.
  absl::Status WriteCopies(BlockDevice& device, const std::atomic<bool>& stop);
  // A large one is not: copying takes longer than that.
  static absl::Status WriteInPlace(std::span<const PendingWrite> part, BlockDevice& device,
                                   const std::atomic<bool>& stop);

  uint64_t transaction_ = 0;
  Superblock superblock_;
  std::vector<PendingWrite> writes_;    // But block 0.
  std::vector<AlignedBuffer> buffers_;  // Index nodes, bitmaps, index block.
  std::vector<Relocation> relocations_;
  std::vector<std::pair<ArrayKind, std::vector<uint32_t>>> directories_;  // Of arrays that were rebuilt.
  bool superblock_started_ = false;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_COMMIT_BATCH_H_
