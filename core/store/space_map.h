// Which metadata blocks are in use, one bit each, held whole in memory (at most 4161600 blocks, 520 KiB).
//
// There is a used-bitmap for the running, the committing and the durable state; snapshots bring their own.  Invariant:
// a block is allocatable only if it is unused in all of them.  There are no free lists. Source: on-disk form,
// core/format/README.md; why there is no recursion, core/README.md section 2.
#ifndef DMCACHED_CORE_STORE_SPACE_MAP_H_
#define DMCACHED_CORE_STORE_SPACE_MAP_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/aligned_buffer.h"
#include "core/base/ids.h"
#include "core/device/block_device.h"
#include "core/format/superblock.h"
#include "core/store/commit_batch.h"

namespace dmcached {

class SpaceMap {  // Not thread-safe: guarded by the mutex of its cache.
 public:
  using Bits = std::vector<uint64_t>;

  // Of a fresh device of `blocks` blocks (at most kMaxMetadataBlocks): only block 0 is used.
  static SpaceMap Create(uint64_t blocks);

  // Reads the index block and every bitmap.  A count above 1 or a used overflow tree is left in `damage`; blocks with
  // such a count are used.  Errors: kDataLoss EILSEQ, ENOTBLK, EUCLEAN (sizes, locations); kInternal EIO.
  static absl::StatusOr<SpaceMap> Load(BlockDevice& device, const SpaceMapRoot& root, absl::Status& damage);

  // An unused block, marked used.  Goes forward through the device, past what became free behind it, so that a
  // transaction's blocks are neighbours and go out in one write.
  // Errors: kResourceExhausted ENOSPC.  O(1) amortised.
  absl::StatusOr<MetadataBlock> Allocate();
  // Marks the block unused.  It stays unallocatable while another state or a snapshot uses it.
  void Release(MetadataBlock block);
  bool used(MetadataBlock block) const;

  uint64_t blocks() const { return blocks_; }
  uint64_t free_blocks() const { return free_; }                // Unused in the running state.
  uint64_t allocatable_blocks() const { return allocatable_; }  // Unused in every state and snapshot.
  uint64_t bitmap_count() const { return bitmaps_.size(); }
  MetadataBlock ref_count_root() const { return ref_count_root_; }
  void set_ref_count_root(MetadataBlock root) { ref_count_root_ = root; }
  // Locations of the index block and of every bitmap.
  std::vector<MetadataBlock> own_blocks() const;

  // Gives new locations to the bitmaps that changed and to the index block, until nothing new changes; freezes the
  // running state as the committing one; adds the blocks to `writes`, their bytes to `buffers`.
  // Errors: kResourceExhausted ENOSPC, impossible while bitmap_count() + 1 blocks are kept back.
  absl::Status Prepare(std::vector<AlignedBuffer>& buffers, std::vector<PendingWrite>& writes);
  // The committing state is durable.
  void Finish();
  // Used-bitmaps of the snapshots that live; they stay valid until the next call.
  void SetSnapshots(std::vector<const Bits*> snapshots);

  SpaceMapRoot root() const;
  const Bits& durable() const { return durable_; }

 private:
  struct Bitmap {
    MetadataBlock location;
    bool changed = false;
  };

  explicit SpaceMap(uint64_t blocks);

  absl::Status LoadBitmap(BlockDevice& device, size_t index, MetadataBlock location, absl::Status& damage);
  absl::Status CheckOverflowTree(BlockDevice& device, absl::Status& damage);
  void SetBit(uint64_t block, bool used);
  // Recomputes what is unavailable from all states and snapshots.
  void Recompute();
  absl::Status Relocate(MetadataBlock& location);
  void PackBitmap(size_t index, std::span<std::byte> block) const;
  void PackIndex(std::span<std::byte> block) const;
  uint64_t UsedIn(size_t bitmap) const;

  uint64_t blocks_;
  Bits running_;
  Bits committing_;
  Bits durable_;
  Bits unavailable_;  // Union of all states and snapshots; bits past the end are set.
  std::vector<const Bits*> snapshots_;
  std::vector<Bitmap> bitmaps_;
  MetadataBlock index_block_;  // 0: not written yet.
  MetadataBlock ref_count_root_;
  uint64_t free_ = 0;
  uint64_t allocatable_ = 0;
  uint64_t cursor_ = 0;  // Block where the search goes on.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_SPACE_MAP_H_
