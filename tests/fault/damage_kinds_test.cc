// Every kind of block that metadata has, every class of bytes in each: a change is named by the checker, and is refused
// or changes nothing that is served.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "core/device/memory_device.h"
#include "tests/fault/damaged_image.h"
#include "tests/fault/scenario.h"
#include "tests/support/deepened_image.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using Image = std::vector<std::byte>;

template <typename Disk>
const Disk& As(const Image& image, uint64_t block) {
  return DiskView<Disk>(std::span(image).subspan(block * kMetadataBlockBytes, kMetadataBlockBytes));
}

// Not counting that the leaf below the node that was added is underfull.
bool NamesDamage(const Image& image, uint64_t block) {
  const Alarms alarms(image);
  return std::any_of(alarms.findings().begin(), alarms.findings().end(), [block](const Finding& finding) {
    return finding.kind != FindingKind::kIndexNodeUnderfull && IsAbout(finding, block);
  });
}

// All kinds: what leads to a block, and its type.
std::map<std::string, uint64_t> BlocksByKind(const Image& image) {
  const auto& superblock = As<DiskSuperblock>(image, kSuperblockLocation);
  const DiskSpaceMapRoot& map = superblock.metadata_space_map_root;
  std::map<std::string, uint64_t> blocks = {
      {"superblock", kSuperblockLocation},
      {"space map index", map.bitmap_root.load()},
      {"bitmap", As<DiskIndexBlock>(image, map.bitmap_root.load()).entries[0].blocknr.load()},
      {"overflow tree", map.ref_count_root.load()},
      {"mapping internal node", superblock.mapping_root.load()},
      {"mapping leaf", As<DiskIndexNode>(image, superblock.mapping_root.load()).values[0].load()},
      {"discard leaf", superblock.discard_root.load()},
      {"hint leaf", superblock.hint_root.load()},
  };
  if (superblock.version.load() == 2) blocks["dirty leaf"] = superblock.dirty_root.load();
  const std::map<std::string, uint64_t> roots = blocks;
  for (const char* array : {"mapping", "discard", "hint", "dirty"}) {
    const auto leaf = roots.find(std::string(array) + " leaf");
    if (leaf == roots.end()) continue;
    blocks[std::string(array) + " array block"] = As<DiskIndexNode>(image, leaf->second).values[0].load();
  }
  return blocks;
}

// Each field of any block's header, the body's first, middle and last words, and unused bytes at the end.
constexpr uint64_t kOffsets[] = {0,   1,   4,   8,   12,  16,  20,  24,   28,   32,   40,   44,   60,  64,
                                 72,  80,  88,  96,  192, 200, 208, 216,  224,  232,  236,  240,  244, 248,
                                 252, 256, 272, 284, 292, 511, 512, 2047, 2048, 2056, 3000, 4088, 4095};

class DamageKindsTest : public testing::TestWithParam<uint32_t> {
 protected:
  DamageKindsTest() {
    MemoryDevice device(Image(kScenarioBlocks * kMetadataBlockBytes));
    Scenario(device, GetParam()).Run();
    image_ = Deepened(device.Image(), kScenarioBlocks - 1);
  }
  Image image_;
};

TEST_P(DamageKindsTest, EveryClassOfBytesOfEveryKindOfBlock) {
  ASSERT_EQ(WalkImage(image_).index_levels, 2u);
  const Alarms undamaged(image_);
  ASSERT_EQ(undamaged.findings().size(), 1u) << undamaged.ToString();
  ASSERT_EQ(undamaged.findings()[0].kind, FindingKind::kIndexNodeUnderfull) << "the leaf below the node that was added";
  ASSERT_THAT(OpenImage(image_, /*read_only=*/false), IsOk());
  const absl::StatusOr<CacheContents> expected = ReadImage(image_, /*read_only=*/true);
  ASSERT_THAT(expected, IsOk());
  const std::map<std::string, uint64_t> blocks = BlocksByKind(image_);
  ASSERT_EQ(blocks.size(), GetParam() == 2 ? 13u : 11u);
  int changes = 0;
  int refused = 0;
  for (const auto& [kind, block] : blocks) {
    for (const uint64_t offset : kOffsets) {
      for (const std::byte flip : {std::byte{0x01}, std::byte{0x80}, std::byte{0xFF}}) {
        SCOPED_TRACE(testing::Message() << kind << ", block " << block << ", byte " << offset);
        Image damaged = image_;
        damaged[block * kMetadataBlockBytes + offset] ^= flip;
        ++changes;
        EXPECT_TRUE(NamesDamage(damaged, block)) << Alarms(damaged).ToString();
        EXPECT_FALSE(OpenImage(damaged, /*read_only=*/false).ok()) << "damage is never opened for writing";
        for (const bool read_only : {true, false}) {
          const absl::StatusOr<CacheContents> found = ReadImage(damaged, read_only);
          if (found.ok()) {
            EXPECT_EQ(Difference(*found, *expected), "");
          } else {
            ++refused;
            EXPECT_TRUE(ReasonOf(found.status()).has_value()) << found.status();
          }
        }
        if (HasFailure()) return;
      }
    }
  }
  std::printf("%zu kinds of blocks, %d changes, %d opens refused\n", blocks.size(), changes, refused);
  EXPECT_GT(refused, changes) << "of two opens per change";
}

INSTANTIATE_TEST_SUITE_P(Versions, DamageKindsTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "Version" + std::to_string(version.param); });

}  // namespace
}  // namespace dmcached
