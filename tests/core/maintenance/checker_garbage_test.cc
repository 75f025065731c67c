// Garbage behind right checksums: whatever the bytes are, a check ends, stays inside its memory, and says something.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/core/maintenance/check_fixture.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

// Values that sit at the edges of what is checked.
uint64_t EdgeValue(Random& random) {
  static constexpr uint64_t kEdges[] = {0,
                                        1,
                                        2,
                                        3,
                                        84,
                                        251,
                                        252,
                                        253,
                                        255,
                                        256,
                                        336,
                                        509,
                                        510,
                                        1018,
                                        16320,
                                        0x7FFFFFFF,
                                        0xFFFFFFFF,
                                        uint64_t{1} << 32,
                                        uint64_t{1} << 48,
                                        ~uint64_t{0}};
  return kEdges[random.Below(std::size(kEdges))];
}

struct Target {
  BlockType type;
  uint64_t block;
};

std::vector<Target> Targets(DamagedImage& image) {
  const Superblock superblock = image.superblock();
  std::vector<Target> targets = {
      {BlockType::kSuperblock, 0},
      {BlockType::kSpaceMapIndex, superblock.space_map.index_block.value()},
      {BlockType::kSpaceMapBitmap, image.bitmap_block()},
      {BlockType::kBtreeNode, superblock.space_map.ref_count_root.value()},
      {BlockType::kBtreeNode, superblock.mapping_root.value()},
      {BlockType::kBtreeNode, superblock.discard_root.value()},
      {BlockType::kBtreeNode, superblock.hint_root.value()},
      {BlockType::kArrayBlock, image.array_block(ArrayKind::kMappings, 0)},
      {BlockType::kArrayBlock, image.array_block(ArrayKind::kMappings, 2)},
      {BlockType::kArrayBlock, image.array_block(ArrayKind::kDiscards, 0)},
      {BlockType::kArrayBlock, image.array_block(ArrayKind::kHints, 1)},
  };
  if (superblock.version == 2) {
    targets.push_back({BlockType::kBtreeNode, superblock.dirty_root.value()});
    targets.push_back({BlockType::kArrayBlock, image.array_block(ArrayKind::kDirty, 0)});
  }
  return targets;
}

// A field set to an edge, a stretch of noise, or a whole block of it.
void Spoil(Random& random, BlockType type, std::span<std::byte> block) {
  const size_t head = type == BlockType::kSuperblock ? 292 : 64;
  const uint64_t how = random.Below(10);
  if (how == 0) {
    for (std::byte& byte : block) byte = static_cast<std::byte>(random.Below(256));
  } else if (how < 4) {
    const size_t at = random.Below(block.size() - 8);
    for (size_t i = 0; i < 1 + random.Below(8); ++i) block[at + i] = static_cast<std::byte>(random.Below(256));
  } else {
    const size_t at = (how < 8 ? random.Below(head - 8) : random.Below(block.size() - 8)) / 4 * 4;
    const uint64_t value = random.Below(2) == 0 ? EdgeValue(random) : random.Below(300);
    std::memcpy(block.data() + at, &value, random.Below(2) == 0 ? 4 : 8);
  }
}

class GarbageTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(GarbageTest);

TEST_P(GarbageTest, ChecksEndWhateverTheBytesAre) {
  constexpr uint64_t kRounds = 2000;
  Random random;
  DamagedImage image(GetParam());
  const std::vector<std::byte> sound = image.device().Image();
  const std::vector<Target> targets = Targets(image);
  uint64_t noticed = 0;
  for (uint64_t round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    AlignedBuffer bytes(sound.size());
    std::memcpy(bytes.data(), sound.data(), sound.size());
    for (uint64_t i = 0; i <= random.Below(3); ++i) {
      const Target target = targets[random.Below(targets.size())];
      const auto block = bytes.span().subspan(target.block * kMetadataBlockBytes, kMetadataBlockBytes);
      Spoil(random, target.type, block);
      // The magic number would end most rounds.
      if (target.type == BlockType::kSuperblock) MutableDiskView<DiskSuperblock>(block).magic.store(kSuperblockMagic);
      SealBlock(target.type, MetadataBlock(target.block), block);
    }
    const Checked checked = CheckImage(bytes.span());
    ASSERT_THAT(checked.status, IsOk());
    EXPECT_LE(checked.summary.blocks_read, 2 * 256u) << "no block is read more than twice";
    noticed += checked.findings.empty() ? 0 : 1;
  }
  EXPECT_GT(noticed, kRounds / 2);
}

}  // namespace
}  // namespace dmcached
