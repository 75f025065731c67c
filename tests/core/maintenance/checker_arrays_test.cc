// What the checker finds in mappings, dirty bits, discards and hints, and in the indexes that lead to them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/maintenance/checker.h"
#include "tests/core/maintenance/check_fixture.h"
#include "tests/support/thread_per_task.h"

namespace dmcached {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class ArrayDamageTest : public VersionTest {
 protected:
  ArrayDamageTest() : image_(GetParam()) {}
  uint64_t flags() const { return kMappingFlagValid; }

  DamagedImage image_;
};
DMCACHED_BOTH_VERSIONS(ArrayDamageTest);

void ExpectCblocks(const Finding& finding, uint64_t begin, uint64_t end) {
  ASSERT_TRUE(finding.cblocks.has_value());
  EXPECT_EQ(finding.cblocks->begin.value(), begin);
  EXPECT_EQ(finding.cblocks->end.value(), end);
}

TEST_P(ArrayDamageTest, SoundImageHasNoFindings) {
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.status, IsOk());
  EXPECT_THAT(checked.findings, IsEmpty());
  EXPECT_EQ(checked.summary.mapped, 700u);
  EXPECT_EQ(checked.summary.dirty, 70u);
  EXPECT_EQ(checked.summary.used, image_.superblock().space_map.allocated);
  EXPECT_EQ(checked.summary.blocks_read, checked.summary.used);
  EXPECT_EQ(checked.summary.leaked, 0u);
  EXPECT_TRUE(checked.summary.sound());
}

TEST_P(ArrayDamageTest, DamagedMappingBlockIsFatalAndNamesItsCblocks) {
  image_.Flip(image_.array_block(ArrayKind::kMappings, 1));
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("array_block_damaged fatal"));
  const Finding& finding = checked.at(0);
  EXPECT_EQ(finding.block->value(), image_.array_block(ArrayKind::kMappings, 1));
  ExpectCblocks(finding, 509, 1018);
  EXPECT_EQ(finding.mappings, 509u) << "at most: they cannot be read";
  EXPECT_EQ(finding.dirty, GetParam() == 1 ? 509u : 11u) << "the dirty bitset of version 2 can be read";
  EXPECT_EQ(checked.summary.mapped, 509u + 82u);
}

TEST_P(ArrayDamageTest, UnreadableNeighboursAreOneFinding) {
  image_.device().SetFaults(
      {.fail_read_blocks = {image_.array_block(ArrayKind::kMappings, 0), image_.array_block(ArrayKind::kMappings, 1)}});
  const Checked checked = CheckDevice(image_.device());
  ASSERT_THAT(checked.All(), ElementsAre("array_block_damaged fatal"));
  EXPECT_EQ(checked.at(0).count, 2u);
  ExpectCblocks(checked.at(0), 0, 1018);
}

TEST_P(ArrayDamageTest, WrongHeadersAreFatal) {
  const uint64_t block = image_.array_block(ArrayKind::kMappings, 2);
  for (const int field : {0, 1, 2}) {
    DamagedImage image(GetParam());
    image.PatchAs<DiskArrayBlockHeader>(BlockType::kArrayBlock, block, [&](DiskArrayBlockHeader& header) {
      if (field == 0) header.value_size.store(4);
      if (field == 1) header.max_entries.store(1018);
      if (field == 2) header.nr_entries.store(0xFFFFFFFF);
    });
    const Checked checked = image.Check();
    ASSERT_THAT(checked.All(), ElementsAre("array_block_damaged fatal"));
    ExpectCblocks(checked.at(0), 1018, 1300);
  }
}

TEST_P(ArrayDamageTest, ShortMappingBlockIsFatalForWhatIsMissing) {
  image_.PatchAs<DiskArrayBlockHeader>(BlockType::kArrayBlock, image_.array_block(ArrayKind::kMappings, 2),
                                       [](DiskArrayBlockHeader& header) { header.nr_entries.store(100); });
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("array_block_short fatal"));
  ExpectCblocks(checked.at(0), 1118, 1300);
}

TEST_P(ArrayDamageTest, EntriesBeyondTheEndAreRepairable) {
  image_.PatchAs<DiskArrayBlockHeader>(BlockType::kArrayBlock, image_.array_block(ArrayKind::kMappings, 2),
                                       [](DiskArrayBlockHeader& header) { header.nr_entries.store(509); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("array_surplus repairable"));
}

TEST_P(ArrayDamageTest, UnknownMappingFlagsAreFatalAndNeighboursMerged) {
  image_.PatchWord(ArrayKind::kMappings, 7, Mapping(21, flags() | 8));
  image_.PatchWord(ArrayKind::kMappings, 8, Mapping(24, flags() | 8));
  image_.PatchWord(ArrayKind::kMappings, 20, Mapping(60, 0));  // An oblock, and not valid.
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), GetParam() == 1 ? testing::ElementsAreArray({"mapping_flags fatal", "mapping_flags fatal"})
                                             : testing::ElementsAreArray({"mapping_flags fatal", "mapping_flags fatal",
                                                                          "dirty_unmapped repairable"}));
  ExpectCblocks(checked.at(0), 7, 9);
  EXPECT_EQ(checked.at(0).count, 2u);
  EXPECT_EQ(checked.at(0).mappings, 2u);
  ExpectCblocks(checked.at(1), 20, 21);
}

TEST_P(ArrayDamageTest, OblockMappedTwiceNamesEveryCblockOfIt) {
  image_.PatchWord(ArrayKind::kMappings, 1001, Mapping(3, flags()));  // That of cblock 1.
  image_.PatchWord(ArrayKind::kMappings, 3, Mapping(3, flags()));
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("oblock_twice fatal", "oblock_twice fatal", "oblock_twice fatal"));
  ExpectCblocks(checked.at(0), 1, 2);
  ExpectCblocks(checked.at(1), 3, 4);
  ExpectCblocks(checked.at(2), 1001, 1002);
}

TEST_P(ArrayDamageTest, OblockBeyondTheDiscardsCountsOnCleanMetadataOnly) {
  image_.PatchWord(ArrayKind::kMappings, 5, Mapping(uint64_t{1} << 40, flags()));
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("oblock_beyond_origin repairable"));
  ExpectCblocks(checked.at(0), 5, 6);
  image_.PatchSuper([](Superblock& s) { s.clean_shutdown = false; });
  const Checked unclean = image_.Check();
  EXPECT_THAT(unclean.findings, IsEmpty());
  EXPECT_EQ(unclean.summary.dirty, 700u) << "after an unclean shutdown all are";
}

TEST_P(ArrayDamageTest, DirtyBitsOfUnmappedCblocksAreRepairable) {
  if (GetParam() == 1) {
    for (const uint64_t cblock : {700, 701}) image_.PatchWord(ArrayKind::kMappings, cblock, kMappingFlagDirty);
  } else {
    image_.PatchWord(ArrayKind::kDirty, 704 / 64 - 1, uint64_t{3} << (700 % 64));  // A word of 640 to 703.
  }
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("dirty_unmapped repairable"));
  ExpectCblocks(checked.at(0), 700, 702);
  EXPECT_EQ(checked.at(0).count, 2u);
  EXPECT_EQ(checked.at(0).mappings, 0u);
}

TEST_P(ArrayDamageTest, BitsPastTheEndAreNotes) {
  const uint64_t discards = image_.superblock().discard_blocks;
  image_.PatchWord(ArrayKind::kDiscards, discards / 64, uint64_t{1} << 63);
  if (GetParam() == 2) image_.PatchWord(ArrayKind::kDirty, 1300 / 64, uint64_t{1} << 63);
  const Checked checked = image_.Check();
  EXPECT_THAT(checked.All(), testing::Each("bits_past_end note"));
  EXPECT_EQ(checked.findings.size(), GetParam());
}

TEST_P(ArrayDamageTest, DamagedHintsAndDiscardsAreRepairable) {
  image_.Flip(image_.array_block(ArrayKind::kHints, 0));
  image_.Flip(image_.array_block(ArrayKind::kDiscards, 0));
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), UnorderedElementsAre("array_block_damaged repairable", "array_block_damaged repairable"));
  ExpectCblocks(checked.at(1), 0, 1018);  // Hints.
}

// Repairable says what is lost, not that the metadata may be written as it is: that waits for a repair.
TEST_P(ArrayDamageTest, DamagedHintsAndDiscardsOpenReadOnly) {
  const std::vector<std::function<uint64_t(DamagedImage&)>> blocks = {
      [](DamagedImage& image) { return image.array_block(ArrayKind::kHints, 1); },
      [](DamagedImage& image) { return image.superblock().hint_root.value(); },
      [](DamagedImage& image) { return image.array_block(ArrayKind::kDiscards, 0); },
      [](DamagedImage& image) { return image.superblock().discard_root.value(); },
  };
  for (size_t i = 0; i < blocks.size(); ++i) {
    DamagedImage image(GetParam());
    image.Flip(blocks[i](image));
    EXPECT_EQ(image.Check().summary.count(Severity::kFatal), 0u) << i;
    EXPECT_GE(image.Check().summary.count(Severity::kRepairable), 1u) << i;
    const std::vector<std::byte> before = image.device().Image();
    EXPECT_THAT(image.cache().Open(), HasReasonIs(Reason::kMetadataCorrupt)) << i;
    EXPECT_EQ(image.device().Image(), before) << "a refused open writes nothing";
    const bool is_array_block = i % 2 == 0;
    if (!is_array_block) continue;  // Without an index there is no array to open.
    ASSERT_THAT(image.cache().Open(ReadOnly()), IsOk()) << i;
    EXPECT_EQ(image.cache()->mapped_blocks(), 700u);
  }
}

TEST_P(ArrayDamageTest, HintArrayOfAnotherLengthIsANote) {
  image_.PatchAs<DiskArrayBlockHeader>(BlockType::kArrayBlock, image_.array_block(ArrayKind::kHints, 1),
                                       [](DiskArrayBlockHeader& header) { header.nr_entries.store(5); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("hint_array_length note"));
  image_.PatchAs<DiskArrayBlockHeader>(BlockType::kArrayBlock, image_.array_block(ArrayKind::kHints, 1),
                                       [](DiskArrayBlockHeader& header) { header.nr_entries.store(1000); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("hint_array_length note"));
}

TEST_P(ArrayDamageTest, EmptyHintArrayIsRepairable) {
  image_.PatchNode(image_.superblock().hint_root, [](DiskIndexNode& node) { node.header.nr_entries.store(0); });
  EXPECT_THAT(image_.Check().All(), ElementsAre("hint_array_empty repairable", "leaked_block repairable"));
}

TEST_P(ArrayDamageTest, HintsOfSizeZeroAreANote) {
  image_.PatchSuper([](Superblock& s) { s.policy_hint_size = 0; });
  EXPECT_THAT(image_.Check().All(), ElementsAre("hint_size note"));
}

// --- Index trees ---

TEST_P(ArrayDamageTest, ArrayThatTheSuperblockDoesNotLeadTo) {
  const Superblock before = image_.superblock();
  image_.PatchSuper([](Superblock& s) { s.mapping_root = MetadataBlock(0); });
  const Checked checked = image_.Check();
  ASSERT_GE(checked.findings.size(), 1u);
  EXPECT_EQ(Checked::Name(checked.at(0)), "array_missing fatal");
  ExpectCblocks(checked.at(0), 0, 1300);
  EXPECT_EQ(checked.summary.count(Severity::kFatal), 1u);
  image_.PatchSuper([&](Superblock& s) {
    s.mapping_root = before.mapping_root;
    s.discard_root = MetadataBlock(0);
  });
  EXPECT_EQ(Checked::Name(image_.Check().at(0)), "array_missing repairable");
}

TEST_P(ArrayDamageTest, BlockThatTheIndexDoesNotLeadToIsMissing) {
  image_.PatchNode(image_.superblock().mapping_root, [](DiskIndexNode& node) {
    node.keys[1].store(2);
    node.values[1].store(node.values[2].load());
    node.header.nr_entries.store(2);
  });
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("array_block_missing fatal", "leaked_block repairable"));
  ExpectCblocks(checked.at(0), 509, 1018);
}

TEST_P(ArrayDamageTest, PointersOutOfRangeAreNotFollowed) {
  image_.PatchNode(image_.superblock().mapping_root, [](DiskIndexNode& node) { node.values[1].store(~uint64_t{0}); });
  image_.PatchSuper([](Superblock& s) { s.hint_root = MetadataBlock(uint64_t{1} << 60); });
  const Checked checked = image_.Check();
  ASSERT_GE(checked.findings.size(), 2u);
  EXPECT_EQ(Checked::Name(checked.at(0)), "reference_out_of_range fatal");
  ExpectCblocks(checked.at(0), 509, 1018);
  EXPECT_EQ(Checked::Name(checked.at(1)), "reference_out_of_range repairable");
  ExpectCblocks(checked.at(1), 0, 1300);
}

TEST_P(ArrayDamageTest, BlockUsedTwiceIsFatalAndReadOnce) {
  image_.PatchNode(image_.superblock().mapping_root,
                   [](DiskIndexNode& node) { node.values[1].store(node.values[0].load()); });
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("block_used_twice fatal", "leaked_block repairable"));
  ExpectCblocks(checked.at(0), 509, 1018);
  EXPECT_EQ(checked.summary.mapped, 509u + 82u);
}

TEST_P(ArrayDamageTest, TreeThatLeadsToItselfEnds) {
  const MetadataBlock root = image_.superblock().mapping_root;
  image_.PatchNode(root, [&](DiskIndexNode& node) {
    node.header.flags.store(kBtreeInternal);
    for (uint32_t i = 0; i < node.header.nr_entries.load(); ++i) node.values[i].store(root.value());
  });
  const Checked checked = image_.Check();
  EXPECT_EQ(Checked::Name(checked.at(0)), "block_used_twice fatal");
  ExpectCblocks(checked.at(0), 0, 1300);
}

TEST_P(ArrayDamageTest, WrongNodesLoseWhatIsBelowThem) {
  const MetadataBlock root = image_.superblock().mapping_root;
  const std::vector<std::function<void(DiskIndexNode&)>> changes = {
      [](DiskIndexNode& node) { node.header.flags.store(3); },
      [](DiskIndexNode& node) { node.header.max_entries.store(336); },
      [](DiskIndexNode& node) { node.header.value_size.store(4); },
      [](DiskIndexNode& node) { node.header.nr_entries.store(0xFFFFFFFF); },
      [](DiskIndexNode& node) { node.keys[2].store(0); },
      [](DiskIndexNode& node) {
        node.header.flags.store(kBtreeInternal);
        node.header.nr_entries.store(0);
      },
  };
  for (const auto& change : changes) {
    DamagedImage image(GetParam());
    image.PatchNode(root, change);
    const Checked checked = image.Check();
    ASSERT_GE(checked.findings.size(), 1u);
    EXPECT_EQ(Checked::Name(checked.at(0)), "index_node_damaged fatal");
    ExpectCblocks(checked.at(0), 0, 1300);
    EXPECT_EQ(checked.summary.count(Severity::kFatal), 1u);
  }
}

// A tree of two levels: 140000 cache blocks in 276 array blocks, two leaves of 138.
class DeepTreeTest : public testing::Test {
 protected:
  DeepTreeTest() : image_(2, 140000, 2048) {
    AlignedBuffer root(kMetadataBlockBytes);
    EXPECT_THAT(image_.device().Read(BlockOffsetBytes(root_), root.span()), IsOk());
    const auto& node = DiskView<DiskIndexNode>(root.span());
    EXPECT_EQ(node.header.nr_entries.load(), 2u);
    second_leaf_ = MetadataBlock(node.values[1].load());
  }

  DamagedImage image_;
  MetadataBlock root_ = image_.superblock().mapping_root;
  MetadataBlock second_leaf_;
};

TEST_F(DeepTreeTest, SoundOneHasNoFindings) { EXPECT_THAT(image_.Check().findings, IsEmpty()); }

TEST_F(DeepTreeTest, LostLeafCoversWhatItsParentSays) {
  image_.Flip(second_leaf_.value());
  const Checked checked = image_.Check();
  ASSERT_GE(checked.findings.size(), 1u);
  EXPECT_EQ(Checked::Name(checked.at(0)), "index_node_damaged fatal");
  EXPECT_EQ(checked.at(0).block, second_leaf_);
  ExpectCblocks(checked.at(0), 138 * 509, 140000);
  EXPECT_EQ(checked.summary.mapped, 700u);
}

TEST_F(DeepTreeTest, KeysOutsideTheParentsRangeLoseTheNode) {
  image_.PatchNode(second_leaf_, [](DiskIndexNode& node) {
    for (uint32_t i = 0; i < node.header.nr_entries.load(); ++i) node.keys[i].store(i);
  });
  const Checked checked = image_.Check();
  EXPECT_EQ(Checked::Name(checked.at(0)), "index_node_damaged fatal");
  ExpectCblocks(checked.at(0), 138 * 509, 140000);
}

TEST_F(DeepTreeTest, LeavesAtUnequalDepthAreFatal) {
  // The second leaf's place is taken by an internal node over it.
  const uint64_t spare = 2000;
  image_.Patch(BlockType::kBtreeNode, spare, [&](std::span<std::byte> bytes) {
    auto& node = MutableDiskView<DiskIndexNode>(bytes);
    node.header.flags.store(kBtreeInternal);
    node.header.max_entries.store(kBtreeMaxEntries);
    node.header.value_size.store(8);
    node.header.nr_entries.store(1);
    node.keys[0].store(138);
    node.values[0].store(second_leaf_.value());
  });
  image_.PatchNode(root_, [&](DiskIndexNode& node) { node.values[1].store(spare); });
  const Checked checked = image_.Check();
  EXPECT_THAT(checked.All(),
              ElementsAre("index_node_underfull repairable", "index_node_damaged fatal", "used_block_free fatal"));
  EXPECT_EQ(checked.at(1).block, second_leaf_);
}

TEST_F(DeepTreeTest, UnderfullLeafIsRepairableAndWhatItLeftOutMissing) {
  image_.PatchNode(second_leaf_, [](DiskIndexNode& node) { node.header.nr_entries.store(83); });
  const Checked checked = image_.Check();
  ASSERT_GE(checked.findings.size(), 2u);
  EXPECT_EQ(Checked::Name(checked.at(0)), "index_node_underfull repairable");
  EXPECT_EQ(Checked::Name(checked.at(1)), "array_block_missing fatal");
  ExpectCblocks(checked.at(1), (138 + 83) * 509, 140000);
}

TEST_F(DeepTreeTest, ThreadsFindTheSameInTheSameOrder) {
  for (uint64_t i = 3; i < 276; i += 7) image_.Flip(image_.array_block(ArrayKind::kMappings, i));
  for (const uint64_t cblock : {5, 600, 70000, 139999}) image_.PatchWord(ArrayKind::kMappings, cblock, Mapping(9, 9));
  image_.Flip(image_.array_block(ArrayKind::kDiscards, 0));
  const auto texts = [&](Executor* executor) {
    std::vector<std::string> all;
    for (const Finding& finding : CheckDevice(image_.device(), {.executor = executor}).findings) {
      all.push_back(testing::PrintToString(finding));
    }
    return all;
  };
  const std::vector<std::string> alone = texts(nullptr);
  EXPECT_GT(alone.size(), 40u);
  for (int i = 0; i < 20; ++i) {
    ThreadPerTask threads(3);
    EXPECT_EQ(texts(&threads), alone);
  }
}

TEST_F(DeepTreeTest, TooDeepATreeEnds) {
  // A chain of internal nodes of one entry each.
  for (uint64_t i = 0; i < 20; ++i) {
    image_.Patch(BlockType::kBtreeNode, 1900 + i, [&](std::span<std::byte> bytes) {
      auto& node = MutableDiskView<DiskIndexNode>(bytes);
      node.header.flags.store(kBtreeInternal);
      node.header.max_entries.store(kBtreeMaxEntries);
      node.header.value_size.store(8);
      node.header.nr_entries.store(1);
      node.keys[0].store(0);
      node.values[0].store(1900 + i + 1);
    });
  }
  image_.PatchSuper([](Superblock& s) { s.mapping_root = MetadataBlock(1900); });
  const Checked checked = image_.Check();
  EXPECT_THAT(checked.All(), testing::Contains("index_node_damaged fatal"));
}

}  // namespace
}  // namespace dmcached
