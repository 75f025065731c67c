// Arrays with blocks that they should not have, or without those that they should: surplus index entries, the dirty
// bitset of version 2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/maintenance/checker.h"
#include "tests/core/maintenance/check_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

class ArrayLengthTest : public VersionTest {
 protected:
  static constexpr uint64_t kSpare = 200;  // Not in use.

  ArrayLengthTest() : image_(GetParam()) {}
  // One more entry in the index, over the spare block, which the space map counts.
  void AddIndexEntry(MetadataBlock root) {
    image_.PatchNode(root, [](DiskIndexNode& node) {
      const uint32_t entries = node.header.nr_entries.load();
      node.keys[entries].store(entries);
      node.values[entries].store(kSpare);
      node.header.nr_entries.store(entries + 1);
    });
    image_.PatchCount(kSpare, kBitmapCount1);
    image_.PatchIndexEntry(0, [](DiskIndexEntry& entry) { entry.nr_free.store(entry.nr_free.load() - 1); });
    image_.PatchSuper([](Superblock& s) { ++s.space_map.allocated; });
  }

  DamagedImage image_;
};
DMCACHED_BOTH_VERSIONS(ArrayLengthTest);

TEST_P(ArrayLengthTest, SurplusIndexEntriesAreRepairable) {
  AddIndexEntry(image_.superblock().mapping_root);
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("array_surplus repairable"));
  EXPECT_EQ(checked.at(0).array, ArrayKind::kMappings);
  EXPECT_EQ(checked.summary.mapped, 700u);
}

TEST_P(ArrayLengthTest, HintBlocksBeyondTheCacheAreANote) {
  AddIndexEntry(image_.superblock().hint_root);
  EXPECT_THAT(image_.Check().All(), ElementsAre("hint_array_length note"));
}

// Version 2: 40000 cache blocks have their dirty bits in two array blocks.
class DirtyBitsetTest : public testing::Test {
 protected:
  DamagedImage image_{2, 40000};
};

TEST_F(DirtyBitsetTest, DamagedBlockIsFatal) {
  image_.Flip(image_.array_block(ArrayKind::kDirty, 0));
  const Checked checked = image_.Check();
  ASSERT_THAT(checked.All(), ElementsAre("array_block_damaged fatal"));
  EXPECT_EQ(checked.at(0).array, ArrayKind::kDirty);
  EXPECT_EQ(checked.at(0).cblocks->begin.value(), 0u);
  EXPECT_EQ(checked.at(0).cblocks->end.value(), kArrayWordsPerBlock * 64);
  EXPECT_EQ(checked.at(0).mappings, 700u);
  EXPECT_EQ(checked.at(0).dirty, 700u) << "any of them may be";
}

TEST_F(DirtyBitsetTest, MissingOneIsFatal) {
  image_.PatchSuper([](Superblock& s) { s.dirty_root = MetadataBlock(0); });
  const Checked checked = image_.Check();
  ASSERT_GE(checked.findings.size(), 1u);
  EXPECT_EQ(Checked::Name(checked.at(0)), "array_missing fatal");
  EXPECT_EQ(checked.at(0).array, ArrayKind::kDirty);
  EXPECT_EQ(checked.at(0).cblocks->begin.value(), 0u);
  EXPECT_EQ(checked.at(0).cblocks->end.value(), 40000u);
  EXPECT_EQ(checked.summary.count(Severity::kFatal), 1u);
}

}  // namespace
}  // namespace dmcached
