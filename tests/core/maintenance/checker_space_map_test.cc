// What the checker finds in the superblock and in the space map.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/core/maintenance/check_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SpaceMapDamageTest : public VersionTest {
 protected:
  SpaceMapDamageTest() : image_(GetParam()) {}
  // A block that nothing leads to.
  uint64_t FreeBlock() { return 250; }

  DamagedImage image_;
};
DMCACHED_BOTH_VERSIONS(SpaceMapDamageTest);

TEST_P(SpaceMapDamageTest, LeakedNeighboursAreOneRepairableFinding) {
  for (uint64_t i = 0; i < 3; ++i) image_.PatchCount(FreeBlock() + i, kBitmapCount1);
  const uint64_t used = image_.superblock().space_map.allocated + 3;
  image_.PatchSuper([&](Superblock& s) { s.space_map.allocated = used; });
  image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) { entry.nr_free.store(entry.nr_free.load() - 3); });
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("leaked_block repairable"));
  EXPECT_EQ(checked.at(0).block->value(), FreeBlock());
  EXPECT_EQ(checked.at(0).count, 3u);
  EXPECT_EQ(checked.summary.leaked, 3u);
}

TEST_P(SpaceMapDamageTest, UsedBlockThatIsFreeInTheMapIsFatal) {
  image_.PatchCount(image_.array_block(ArrayKind::kMappings, 1), kBitmapCount0);
  image_.PatchCount(image_.superblock().discard_root.value(), kBitmapCount0);
  const Checked checked = image_.Check();
  EXPECT_EQ(checked.Above(Severity::kRepairable),
            (std::vector<std::string>{"used_block_free fatal", "used_block_free fatal"}));
  EXPECT_EQ(checked.at(0).cblocks->begin.value(), 509u);
  EXPECT_EQ(checked.at(0).cblocks->end.value(), 1018u);
  EXPECT_EQ(checked.at(1).block, image_.superblock().discard_root);
}

TEST_P(SpaceMapDamageTest, CountAboveOneIsFatal) {
  for (const uint64_t field : {kBitmapCount2, kBitmapCountMany}) {
    DamagedImage image(GetParam());
    image.PatchCount(image.array_block(ArrayKind::kMappings, 1), field);
    EXPECT_THAT(image.Check().All(), ElementsAre("reference_count fatal"));
  }
}

TEST_P(SpaceMapDamageTest, WrongCountersAreRepairable) {
  image_.PatchSuper([](Superblock& s) { ++s.space_map.allocated; });
  image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) {
    entry.nr_free.store(5);
    entry.none_free_before.store(255);
  });
  EXPECT_THAT(image_.Check().All(),
              ElementsAre("free_count repairable", "first_free repairable", "allocated_count repairable"));
}

TEST_P(SpaceMapDamageTest, FreeCountOfExistingBlocksOnlyIsANote) {
  image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) {
    entry.nr_free.store(static_cast<uint32_t>(entry.nr_free.load() - (kEntriesPerBitmap - 256)));
  });
  EXPECT_THAT(image_.Check().All(), ElementsAre("free_count_style note"));
}

TEST_P(SpaceMapDamageTest, LowerBoundOfTheFirstFreeBlockMayBeTooLow) {
  image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) { entry.none_free_before.store(0); });
  EXPECT_THAT(image_.Check().findings, IsEmpty());
}

TEST_P(SpaceMapDamageTest, UnusedIndexEntriesAndCountsPastTheEndAreNotes) {
  image_.PatchIndexEntry(200, [](DiskIndexEntry& entry) { entry.blocknr.store(7); });
  image_.PatchCount(300, kBitmapCount1);
  EXPECT_THAT(image_.Check().All(), ElementsAre("unused_index_entries note", "bits_past_end note"));
}

TEST_P(SpaceMapDamageTest, DamagedIndexBlockIsFatal) {
  image_.Flip(image_.superblock().space_map.index_block.value());
  EXPECT_THAT(image_.Check().All(), ElementsAre("space_map_index_damaged fatal"));
}

TEST_P(SpaceMapDamageTest, DamagedBitmapIsFatal) {
  image_.Flip(image_.bitmap_block());
  EXPECT_THAT(image_.Check().All(), ElementsAre("bitmap_damaged fatal"));
}

TEST_P(SpaceMapDamageTest, BitmapAtAnImpossiblePlaceIsFatal) {
  image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) { entry.blocknr.store(0); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("block_used_twice fatal"));
  image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) { entry.blocknr.store(~uint64_t{0}); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("reference_out_of_range fatal"));
}

TEST_P(SpaceMapDamageTest, OverflowTreeMustBeAnEmptyLeaf) {
  image_.PatchNode(image_.superblock().space_map.ref_count_root,
                   [](DiskIndexNode& node) { node.header.nr_entries.store(1); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("overflow_tree fatal"));
  image_.Flip(image_.superblock().space_map.ref_count_root.value());
  EXPECT_THAT(image_.Check().All(), ElementsAre("overflow_tree fatal"));
}

TEST_P(SpaceMapDamageTest, DamagedSuperblockIsFatalAndEndsTheCheck) {
  image_.Flip(0);
  EXPECT_THAT(image_.Check().All(), ElementsAre("superblock_damaged fatal"));
  EXPECT_THAT(CheckImage(std::vector<std::byte>(100)).All(), ElementsAre("superblock_damaged fatal"));
  image_.device().SetFaults({.fail_read_blocks = {0}});
  EXPECT_THAT(image_.Check().All(), ElementsAre("superblock_damaged fatal"));
}

TEST_P(SpaceMapDamageTest, ZeroedSuperblockIsNoFormat) {
  EXPECT_THAT(CheckImage(std::vector<std::byte>(64 * kMetadataBlockBytes)).status, HasReasonIs(Reason::kNotFormatted));
}

TEST_P(SpaceMapDamageTest, MagicAndVersionAreChecked) {
  image_.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0, [](DiskSuperblock& s) { s.version.store(3); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("superblock_version fatal"));
  image_.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0, [](DiskSuperblock& s) { s.magic.store(6142003); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("superblock_damaged fatal"));
}

TEST_P(SpaceMapDamageTest, FieldsThatNoWriterLeavesAreFatalAndTheWalkGoesOn) {
  const std::vector<std::function<void(DiskSuperblock&)>> changes = {
      [](DiskSuperblock& s) { s.compat_ro_flags.store(1); },
      [](DiskSuperblock& s) { s.incompat_flags.store(1); },
      [](DiskSuperblock& s) { s.metadata_block_size.store(16); },
      [](DiskSuperblock& s) { s.policy_hint_size.store(8); },
      [](DiskSuperblock& s) { std::memset(s.policy_name, 'a', kPolicyNameBytes); },
      [](DiskSuperblock& s) { s.data_block_size.store(65); },
  };
  for (const auto& change : changes) {
    DamagedImage image(GetParam());
    image.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0, change);
    const Checked checked = image.Check();
    EXPECT_THAT(checked.Above(Severity::kRepairable), ElementsAre("superblock_field fatal"));
    EXPECT_EQ(checked.summary.mapped, 700u);
  }
}

TEST_P(SpaceMapDamageTest, BitsThatNobodyReadsAreRepairableAndTheCacheOpens) {
  const std::vector<std::function<void(DiskSuperblock&)>> changes = {
      [](DiskSuperblock& s) { s.flags.store(s.flags.load() | 4); },
      [](DiskSuperblock& s) { s.compat_flags.store(1); },
  };
  for (const auto& change : changes) {
    DamagedImage image(GetParam());
    image.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0, change);
    EXPECT_THAT(image.Check().All(), ElementsAre("superblock_field repairable"));
    EXPECT_THAT(image.cache().Open(), IsOk());
  }
}

TEST_P(SpaceMapDamageTest, UuidWithoutAnEndIsANote) {
  image_.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0,
                                 [](DiskSuperblock& s) { std::memset(&s.uuid, 0xFE, kUuidBytes - 1); });
  EXPECT_THAT(image_.Check().All(), IsEmpty());
  image_.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0,
                                 [](DiskSuperblock& s) { std::memset(&s.uuid, 0xFE, kUuidBytes); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("superblock_field note"));
  EXPECT_THAT(image_.cache().Open(), IsOk());
}

TEST_P(SpaceMapDamageTest, NeedsCheckFlagIsANote) {
  image_.PatchSuper([](Superblock& s) { s.needs_check = true; });
  const Checked checked = image_.Check();
  EXPECT_THAT(checked.All(), ElementsAre("needs_check_set note"));
  EXPECT_TRUE(checked.summary.needs_check);
  EXPECT_TRUE(checked.summary.sound());
}

TEST_P(SpaceMapDamageTest, SpaceMapLargerThanTheDeviceIsFatal) {
  for (const uint64_t blocks : {uint64_t{0}, uint64_t{257}, ~uint64_t{0}}) {
    image_.PatchSuper([&](Superblock& s) { s.space_map.blocks = blocks; });
    const Checked checked = image_.Check();
    EXPECT_THAT(checked.Above(Severity::kRepairable), ElementsAre("space_map_root fatal"));
    EXPECT_EQ(checked.summary.mapped, 700u);
  }
}

TEST_P(SpaceMapDamageTest, DiscardGeometryThatDoesNotFitIsRepairable) {
  image_.PatchSuper([](Superblock& s) { s.discard_block_size = Sectors(100); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("discard_geometry repairable"));
}

TEST_P(SpaceMapDamageTest, HugeCountsNeedNoMemory) {
  image_.PatchSuper([](Superblock& s) {
    s.cache_blocks = 0xFFFFFFFF;
    s.discard_blocks = ~uint64_t{0};
  });
  const Checked checked = image_.Check();
  EXPECT_EQ(checked.summary.mapped, 700u);
  EXPECT_THAT(checked.All(), testing::Contains("array_block_missing fatal"));
}

}  // namespace
}  // namespace dmcached
