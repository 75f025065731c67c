// The index btree of a packed array: which block holds which part of the array.
//
// The tree's shape is fixed between resizes, so a node is its position in a level and needs no bytes in memory: keys
// are 0, 1, 2, ..., leaf values come from the array's directory, inner values from the level below.  A changed array
// block marks its leaf and that leaf's ancestors; a commit rewrites exactly those.
// Source: core/README.md section 2; node layout, core/format/README.md.
#ifndef DMCACHED_CORE_STORE_INDEX_TREE_H_
#define DMCACHED_CORE_STORE_INDEX_TREE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/aligned_buffer.h"
#include "core/base/ids.h"
#include "core/device/block_device.h"
#include "core/store/block_cache.h"
#include "core/store/commit_batch.h"
#include "core/store/space_map.h"

namespace dmcached {

class IndexTree {  // Not thread-safe.
 public:
  // Over `blocks` array blocks, bottom-up, nodes filled evenly, every node still to be written.
  static IndexTree Build(uint64_t blocks);
  // Reads the tree at `root`; appends the locations of the array blocks, in order.  `claim` is told of every node and
  // refuses what the caller does not accept (out of range, reached twice).
  // Errors: kDataLoss EILSEQ, ENOTBLK, EUCLEAN (geometry, key order, gaps, depth); kInternal EIO; those of `claim`.
  static absl::StatusOr<IndexTree> Load(BlockDevice& device, MetadataBlock root,
                                        const std::function<absl::Status(MetadataBlock)>& claim,
                                        std::vector<uint32_t>& locations);

  // Array block `index` has moved: its leaf and the leaf's ancestors are to be rewritten.
  void MarkChanged(uint64_t index);
  // Nodes that a commit may have to rewrite: all of them at most.
  uint64_t node_count() const;
  static uint64_t NodeCountFor(uint64_t blocks);
  MetadataBlock root() const { return levels_.back().front().location; }

  // Gives the marked nodes new locations and packs them.  Errors: kResourceExhausted ENOSPC.
  absl::Status Prepare(const std::vector<Slot>& slots, SpaceMap& space_map, std::vector<AlignedBuffer>& buffers,
                       std::vector<PendingWrite>& writes);
  // Frees every node that has a location.
  void ReleaseAll(SpaceMap& space_map);

 private:
  struct Node {
    MetadataBlock location;    // 0: never written.
    uint64_t first_child = 0;  // In the level below; for a leaf, the first array block.
    uint64_t children = 0;
    uint64_t first_key = 0;
    bool changed = true;
  };
  using Level = std::vector<Node>;

  // Even pieces of at most 252 children each.
  static Level BuildLevel(uint64_t children, const Level* below);
  // Sets the first keys of `level` from the level below.  `keys`: as found, one per node below.  Errors: kDataLoss
  // EUCLEAN if a look-up would miss the child.
  static absl::Status CheckKeys(Level& level, const Level& below, const std::vector<uint64_t>& keys);
  void Pack(size_t level, const Node& node, const std::vector<Slot>& slots, std::span<std::byte> block) const;

  std::vector<Level> levels_;  // Leaves first, the root alone in the last.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_INDEX_TREE_H_
