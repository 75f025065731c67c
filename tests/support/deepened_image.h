// Gives an image what only large caches have: an internal node above the leaf of the mapping array's index.
#ifndef DMCACHED_TESTS_SUPPORT_DEEPENED_IMAGE_H_
#define DMCACHED_TESTS_SUPPORT_DEEPENED_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "core/format/layout.h"
#include "core/format/seal.h"

namespace dmcached {

// `root`, a block of the first bitmap that is not in use, becomes the node.
inline std::vector<std::byte> Deepened(std::vector<std::byte> image, uint64_t root) {
  const auto block = [&](uint64_t i) { return std::span(image).subspan(i * kMetadataBlockBytes, kMetadataBlockBytes); };
  auto& superblock = MutableDiskView<DiskSuperblock>(block(kSuperblockLocation));
  DiskSpaceMapRoot& map = superblock.metadata_space_map_root;
  const uint64_t index_location = map.bitmap_root.load();
  auto& index = MutableDiskView<DiskIndexBlock>(block(index_location));
  const uint64_t bitmap_location = index.entries[0].blocknr.load();
  Le64& counts = MutableDiskView<DiskBitmapBlock>(block(bitmap_location)).words[root / kEntriesPerBitmapWord];
  counts.store(counts.load() | kBitmapCount1 << (2 * (root % kEntriesPerBitmapWord)));
  map.nr_allocated.store(map.nr_allocated.load() + 1);
  index.entries[0].nr_free.store(index.entries[0].nr_free.load() - 1);

  auto& node = MutableDiskView<DiskIndexNode>(block(root));
  node = {};
  node.header.flags.store(kBtreeInternal);
  node.header.nr_entries.store(1);
  node.header.max_entries.store(kBtreeMaxEntries);
  node.header.value_size.store(sizeof(Le64));
  node.values[0].store(superblock.mapping_root.load());
  superblock.mapping_root.store(root);

  SealBlock(BlockType::kBtreeNode, MetadataBlock(root), block(root));
  SealBlock(BlockType::kSpaceMapIndex, MetadataBlock(index_location), block(index_location));
  SealBlock(BlockType::kSpaceMapBitmap, MetadataBlock(bitmap_location), block(bitmap_location));
  SealBlock(BlockType::kSuperblock, MetadataBlock(kSuperblockLocation), block(kSuperblockLocation));
  return image;
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_DEEPENED_IMAGE_H_
