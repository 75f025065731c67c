// The transactional store: space map, arrays and their frames, and the commit pipeline.
//
// S is the last durable state, N the one being written, N+1 the open one.  A block is allocatable only if it is unused
// in all three and in every snapshot.  The first change to an array block in a transaction gives it a new location; a
// frame that N froze is copied before N+1 changes it.
// Not thread-safe: guarded by the mutex of its cache; only CommitBatch::Write runs without it.
// Source: core/README.md section 2.
#ifndef DMCACHED_CORE_STORE_STORE_H_
#define DMCACHED_CORE_STORE_STORE_H_

#include <array>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/device/block_device.h"
#include "core/format/superblock.h"
#include "core/store/array_kind.h"
#include "core/store/block_cache.h"
#include "core/store/block_set.h"
#include "core/store/commit_batch.h"
#include "core/store/packed_array.h"
#include "core/store/snapshot.h"
#include "core/store/space_map.h"

namespace dmcached {

inline constexpr size_t kMaxSnapshots = 4;

class Store {
 public:
  // Of a fresh device: nothing is written but the overflow leaf; the first commit writes the rest.
  // Errors: kResourceExhausted ENOSPC, kInternal EIO.
  static absl::StatusOr<std::unique_ptr<Store>> Format(std::shared_ptr<BlockDevice> device, uint32_t version,
                                                       uint64_t budget_bytes);
  // Reads space map and index trees.  Damage that still lets sound blocks be read (a block used twice, in use but free
  // in the map, a count above 1) is kept in damage().  Errors: kDataLoss (names the block), kInternal EIO.
  static absl::StatusOr<std::unique_ptr<Store>> Load(std::shared_ptr<BlockDevice> device, const Superblock& superblock,
                                                     uint64_t budget_bytes);
  const absl::Status& damage() const { return damage_; }
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  BlockDevice& device() { return *device_; }
  PackedArray& array(ArrayKind kind) { return *arrays_[static_cast<size_t>(kind)]; }
  const PackedArray& array(ArrayKind kind) const { return *arrays_[static_cast<size_t>(kind)]; }
  bool has_array(ArrayKind kind) const { return arrays_[static_cast<size_t>(kind)] != nullptr; }

  // --- Changing blocks.  Space was checked with CheckSpace, and the blocks are resident. ---

  // Errors: kResourceExhausted ENOSPC (METADATA_NO_SPACE) unless `blocks` more can be allocated and what a commit
  // needs is left.  `extra_nodes`: index nodes that the change adds.
  absl::Status CheckSpace(uint64_t blocks, uint64_t extra_nodes = 0);
  // The block's bytes, writable; header and entries as on disk (checksum and location are filled in at the commit).
  std::span<std::byte> Writable(ArrayKind kind, uint64_t index) { return Writable(array(kind), index); }
  std::span<std::byte> Writable(PackedArray& array, uint64_t index) {
    const Slot& slot = array.slot(index);
    if (!slot.running) MakeWritable(array.kind(), index);
    return {slot.bytes, kMetadataBlockBytes};
  }
  // A fresh location for a block that BulkWriter writes.
  MetadataBlock AllocateBulk();
  // Gives such a location back that no array refers to.
  void ReleaseBulk(MetadataBlock location) { space_map_.Release(location); }
  // Puts a bulk-written block in place of block `index`, and frees the old one.
  void ReplaceBlock(ArrayKind kind, uint64_t index, MetadataBlock location);
  // The array holds `entries` entries from now on: blocks beyond are freed, `fresh` (bulk-written, in order) are
  // appended, the index is rebuilt.  The tail block's header and entries are the caller's.
  void ResizeArray(ArrayKind kind, uint64_t entries, const std::vector<BulkBlock>& fresh);
  // Creates (or replaces) an array of the bulk-written blocks.
  void CreateArray(ArrayKind kind, uint64_t entries, const std::vector<BulkBlock>& fresh);
  void DropArray(ArrayKind kind);

  // --- Commit pipeline ---

  // `superblock` as it shall be written, but for roots and space map, which Prepare fills in (also in `superblock`).
  absl::StatusOr<std::unique_ptr<CommitBatch>> Prepare(Superblock& superblock);
  void Finish(std::unique_ptr<CommitBatch> batch);
  bool commit_in_flight() const { return commit_in_flight_; }
  uint64_t transaction() const { return transaction_; }
  uint64_t durable_transaction() const { return durable_transaction_; }
  // The superblock on the medium.
  const Superblock& durable_superblock() const { return durable_superblock_; }
  void set_durable_superblock(const Superblock& superblock) { durable_superblock_ = superblock; }
  bool running_frames_over_half() const;

  // --- Snapshots ---

  // The durable state; shared with an earlier snapshot of the same state.  When kMaxSnapshots others live, the oldest
  // is revoked.
  std::shared_ptr<const Snapshot> TakeSnapshot();
  // Revokes the oldest one; false if there is none.
  bool RevokeOldestSnapshot();
  void RevokeAllSnapshots();
  // Forgets the ones that no reader holds; returns how many live.
  size_t PruneSnapshots();

  uint64_t metadata_blocks() const { return space_map_.blocks(); }
  uint64_t free_metadata_blocks() const { return space_map_.free_blocks(); }
  uint64_t held_metadata_blocks() const { return space_map_.free_blocks() - space_map_.allocatable_blocks(); }

  BlockCache& cache() { return cache_; }
  const BlockCache& cache() const { return cache_; }
  uint64_t NextEpoch() { return ++epoch_; }
  // Blocks found resident, and read, by operations; for metrics.
  uint64_t block_hits() const { return block_hits_; }
  uint64_t block_misses() const { return block_misses_; }
  void CountHits(uint64_t hits) { block_hits_ += hits; }
  void CountMisses(uint64_t misses) { block_misses_ += misses; }

 private:
  Store(std::shared_ptr<BlockDevice> device, SpaceMap space_map, uint64_t budget_bytes);

  using Relocation = CommitBatch::Relocation;
  void MakeWritable(ArrayKind kind, uint64_t index);
  Frame* CopyFrozen(Slot& slot);
  void ReleaseArray(PackedArray& old);
  void ShareSnapshots();
  absl::Status PrepareBlocks(Superblock& superblock, CommitBatch& batch);
  absl::Status ClaimArrayBlocks(const std::vector<uint32_t>& locations, ArrayKind kind);

  uint64_t index_nodes() const;
  uint64_t kept_back() const;
  absl::Status LoadArrays(const Superblock& superblock);
  absl::Status LoadArray(ArrayKind kind, MetadataBlock root, uint64_t entries);
  absl::StatusOr<uint64_t> LoadHintEntries(const std::vector<uint32_t>& locations);
  // Notes that `block` is reached; an error if it is out of range, damage if it was reached before or is free.
  absl::Status Claim(MetadataBlock block, const char* what);

  std::shared_ptr<BlockDevice> device_;
  SpaceMap space_map_;
  BlockCache cache_;
  std::array<std::unique_ptr<PackedArray>, kArrayKinds> arrays_;
  absl::Status damage_;
  std::vector<uint64_t> claimed_;  // While loading: blocks reached so far.

  std::vector<Frame*> running_frames_;
  std::vector<Frame*> frozen_frames_;                 // Of the commit in flight.
  std::vector<CommitBatch::Relocation> relocations_;  // Of the running transaction.
  std::array<bool, kArrayKinds> rebuilt_{};           // In the running transaction.
  bool changed_blocks_ = false;                       // Anything but the superblock.
  bool commit_in_flight_ = false;
  uint64_t transaction_ = 1;
  uint64_t durable_transaction_ = 0;
  uint64_t epoch_ = 0;
  uint64_t generation_ = 0;
  uint64_t block_hits_ = 0;
  uint64_t block_misses_ = 0;

  Superblock durable_superblock_;
  std::array<std::vector<uint32_t>, kArrayKinds> durable_directories_;
  std::vector<std::shared_ptr<Snapshot>> snapshots_;  // Oldest first.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_STORE_H_
