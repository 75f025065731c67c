#include "core/store/index_tree.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>

#include "core/base/status.h"
#include "core/format/layout.h"
#include "tests/core/store/store_fixture.h"

namespace dmcached {
namespace {

constexpr uint64_t kDeviceBlocks = 4096;

// A tree over `blocks` array blocks at made-up places, written to a device.
class IndexTreeTest : public testing::Test {
 protected:
  void Build(uint64_t blocks) {
    for (uint64_t i = 0; i < blocks; ++i) slots_.push_back({.location = static_cast<uint32_t>(100000 + i)});
    tree_ = IndexTree::Build(blocks);
    Prepare();
  }
  // Writes what changed; returns how many nodes that were.
  size_t Prepare() {
    std::vector<AlignedBuffer> buffers;
    std::vector<PendingWrite> writes;
    EXPECT_THAT(tree_->Prepare(slots_, map_, buffers, writes), IsOk());
    for (const PendingWrite& write : writes) {
      AlignedBuffer copy(kMetadataBlockBytes);
      std::copy_n(write.data, kMetadataBlockBytes, copy.data());
      SealBlock(write.type, write.location, copy.span());
      EXPECT_THAT(device_.Write(BlockOffsetBytes(write.location), copy.span()), IsOk());
    }
    return writes.size();
  }
  absl::Status Load() {
    locations_.clear();
    claimed_.clear();
    auto loaded = IndexTree::Load(
        device_, tree_->root(),
        [&](MetadataBlock block) {
          if (block.value() >= kDeviceBlocks) return MakeError(Reason::kMetadataCorrupt, "out of range");
          if (claimed_[block.value()]++ > 0) return MakeError(Reason::kMetadataCorrupt, "twice");
          return absl::OkStatus();
        },
        locations_);
    DMCACHED_RETURN_IF_ERROR(loaded.status());
    loaded_ = *std::move(loaded);
    return absl::OkStatus();
  }
  AlignedBuffer Read(uint64_t block) {
    AlignedBuffer buffer(kMetadataBlockBytes);
    EXPECT_THAT(device_.Read(block * kMetadataBlockBytes, buffer.span()), IsOk());
    return buffer;
  }
  // Visits the subtree; returns its first key.  Keys of an inner node are its children's first keys.
  uint64_t Visit(uint64_t block, bool is_root, std::vector<uint64_t>& keys, size_t depth, size_t& leaf_depth) {
    const AlignedBuffer buffer = Read(block);
    EXPECT_THAT(CheckBlock(BlockType::kBtreeNode, MetadataBlock(block), buffer.span()), IsOk());
    const auto& node = DiskView<DiskIndexNode>(buffer.span());
    const uint32_t entries = node.header.nr_entries.load();
    EXPECT_EQ(node.header.max_entries.load(), 252u);
    EXPECT_EQ(node.header.value_size.load(), 8u);
    if (!is_root) {
      EXPECT_GE(entries, 84u) << "a third of a node";
    }
    EXPECT_LE(entries, 252u);
    if (node.header.flags.load() == kBtreeLeaf) {
      EXPECT_TRUE(leaf_depth == 0 || leaf_depth == depth);
      leaf_depth = depth;
      for (uint32_t i = 0; i < entries; ++i) {
        keys.push_back(node.keys[i].load());
        EXPECT_EQ(node.values[i].load(), 100000 + node.keys[i].load());
      }
    } else {
      for (uint32_t i = 0; i < entries; ++i) {
        EXPECT_EQ(Visit(node.values[i].load(), false, keys, depth + 1, leaf_depth), node.keys[i].load());
      }
    }
    return entries == 0 ? 0 : node.keys[0].load();
  }

  MemoryDevice device_{kDeviceBlocks * kMetadataBlockBytes};
  SpaceMap map_ = SpaceMap::Create(kDeviceBlocks);
  std::vector<Slot> slots_;
  std::optional<IndexTree> tree_;
  std::optional<IndexTree> loaded_;
  std::vector<uint32_t> locations_;
  std::map<uint64_t, int> claimed_;
};

class IndexTreeSizeTest : public IndexTreeTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(IndexTreeSizeTest, BuiltTreeIsOneThatTheKernelReads) {
  Build(GetParam());
  std::vector<uint64_t> keys;
  size_t leaf_depth = 0;
  Visit(tree_->root().value(), true, keys, 1, leaf_depth);
  ASSERT_EQ(keys.size(), GetParam());
  for (uint64_t i = 0; i < keys.size(); ++i) ASSERT_EQ(keys[i], i);
  EXPECT_EQ(leaf_depth, GetParam() <= 252 ? 1u : GetParam() <= 63504 ? 2u : 3u);
}

TEST_P(IndexTreeSizeTest, LoadGivesTheLocationsAndClaimsEveryNodeOnce) {
  Build(GetParam());
  ASSERT_THAT(Load(), IsOk());
  ASSERT_EQ(locations_.size(), GetParam());
  for (uint64_t i = 0; i < locations_.size(); ++i) ASSERT_EQ(locations_[i], 100000 + i);
  EXPECT_EQ(claimed_.size(), IndexTree::NodeCountFor(GetParam()));
  EXPECT_EQ(loaded_->node_count(), IndexTree::NodeCountFor(GetParam()));
  EXPECT_EQ(loaded_->root(), tree_->root());
}

TEST_F(IndexTreeTest, LoadReadsNeighboursAtOnce) {
  Build(63504);  // 252 leaves, written one after the other, under a root.
  FaultyDevice counting(device_.Image(), {});
  std::vector<uint32_t> locations;
  ASSERT_THAT(IndexTree::Load(
                  counting, tree_->root(), [](MetadataBlock) { return absl::OkStatus(); }, locations),
              IsOk());
  EXPECT_EQ(locations.size(), 63504u);
  EXPECT_LT(counting.reads(), 8u);
}

TEST_P(IndexTreeSizeTest, OneChangeRewritesOnePath) {
  if (GetParam() == 0) return;
  Build(GetParam());
  const size_t levels = GetParam() <= 252 ? 1 : GetParam() <= 63504 ? 2 : 3;
  for (const uint64_t index : {uint64_t{0}, GetParam() / 2, GetParam() - 1}) {
    const uint64_t free = map_.free_blocks();
    slots_[index].location += 500000;
    tree_->MarkChanged(index);
    tree_->MarkChanged(index);
    EXPECT_EQ(Prepare(), levels);
    EXPECT_EQ(map_.free_blocks(), free) << "as many nodes were freed as were taken";
    ASSERT_THAT(Load(), IsOk());
    EXPECT_EQ(locations_[index], slots_[index].location);
  }
  EXPECT_EQ(Prepare(), 0u);
}

TEST_P(IndexTreeSizeTest, ReleaseGivesEveryNodeBack) {
  const uint64_t free = map_.free_blocks();
  Build(GetParam());
  EXPECT_EQ(map_.free_blocks(), free - IndexTree::NodeCountFor(GetParam()));
  tree_->ReleaseAll(map_);
  EXPECT_EQ(map_.free_blocks(), free);
}

INSTANTIATE_TEST_SUITE_P(Sizes, IndexTreeSizeTest, testing::Values(0, 1, 84, 252, 253, 504, 505, 63504, 63505));

class IndexTreeDamageTest : public IndexTreeTest {
 protected:
  IndexTreeDamageTest() {
    Build(300);  // A root over two leaves of 150.
    const AlignedBuffer root = Read(tree_->root().value());
    leaves_ = {DiskView<DiskIndexNode>(root.span()).values[0].load(),
               DiskView<DiskIndexNode>(root.span()).values[1].load()};
  }
  uint64_t root() const { return tree_->root().value(); }
  void Damage(uint64_t block, const std::function<void(DiskIndexNode&)>& change) {
    Tamper(device_, block, BlockType::kBtreeNode,
           [&](std::span<std::byte> bytes) { change(MutableDiskView<DiskIndexNode>(bytes)); });
  }
  void ExpectDamage(uint64_t block, const std::function<void(DiskIndexNode&)>& change) {
    const AlignedBuffer before = Read(block);
    Damage(block, change);
    const absl::Status status = Load();
    EXPECT_THAT(status, CauseIs(EUCLEAN));
    EXPECT_THAT(std::string(status.message()), testing::HasSubstr(absl::StrCat("btree node ", block)));
    ASSERT_THAT(device_.Write(block * kMetadataBlockBytes, before.span()), IsOk());
    ASSERT_THAT(Load(), IsOk());
  }

  std::vector<uint64_t> leaves_;
};

TEST_F(IndexTreeDamageTest, ChecksumAndLocation) {
  Tamper(device_, leaves_[1], std::nullopt, [](std::span<std::byte> block) { block[4090] ^= std::byte{1}; });
  EXPECT_THAT(Load(), CauseIs(EILSEQ));
  Tamper(device_, leaves_[1], std::nullopt,
         [](std::span<std::byte> block) { SealBlock(BlockType::kBtreeNode, MetadataBlock(77), block); });
  EXPECT_THAT(Load(), CauseIs(ENOTBLK));
}

TEST_F(IndexTreeDamageTest, OfTwoInOneReadTheFirstIsNamed) {
  ASSERT_EQ(leaves_[1], leaves_[0] + 1);
  auto claim = [&](MetadataBlock block) {
    return block.value() == leaves_[1] ? MakeError(Reason::kMetadataCorrupt, "refused") : absl::OkStatus();
  };
  std::vector<uint32_t> locations;
  EXPECT_EQ(IndexTree::Load(device_, tree_->root(), claim, locations).status().message(), "refused");
  Tamper(device_, leaves_[0], std::nullopt, [](std::span<std::byte> block) { block[4090] ^= std::byte{1}; });
  EXPECT_THAT(IndexTree::Load(device_, tree_->root(), claim, locations), CauseIs(EILSEQ));
}

TEST_F(IndexTreeDamageTest, Flags) {
  for (const uint32_t flags : {0u, 3u, 4u}) {
    ExpectDamage(leaves_[0], [&](DiskIndexNode& node) { node.header.flags.store(flags); });
  }
}

TEST_F(IndexTreeDamageTest, Geometry) {
  ExpectDamage(leaves_[0], [](DiskIndexNode& node) { node.header.max_entries.store(251); });
  ExpectDamage(leaves_[0], [](DiskIndexNode& node) { node.header.value_size.store(4); });
  ExpectDamage(leaves_[0], [](DiskIndexNode& node) { node.header.nr_entries.store(253); });
  ExpectDamage(root(), [](DiskIndexNode& node) { node.header.nr_entries.store(0); });
}

TEST_F(IndexTreeDamageTest, KeyOrder) {
  ExpectDamage(leaves_[0], [](DiskIndexNode& node) { node.keys[3].store(2); });
  ExpectDamage(root(), [](DiskIndexNode& node) { node.keys[1].store(0); });
}

TEST_F(IndexTreeDamageTest, GapInTheArray) {
  ExpectDamage(leaves_[1], [](DiskIndexNode& node) { node.keys[149].store(300); });
  Damage(leaves_[0], [](DiskIndexNode& node) { node.header.nr_entries.store(149); });
  EXPECT_EQ(Load().message(), absl::StrCat("btree node ", leaves_[1], ": array block 149 is missing, found key 150"));
}

// The kernel descends by these keys: it would not find what lies below a wrong one.
TEST_F(IndexTreeDamageTest, InnerKeyThatHidesPartOfAChild) {
  ExpectDamage(root(), [](DiskIndexNode& node) { node.keys[1].store(151); });
  ExpectDamage(root(), [](DiskIndexNode& node) { node.keys[1].store(149); });
  ExpectDamage(root(), [](DiskIndexNode& node) { node.keys[0].store(1); });
}

TEST_F(IndexTreeDamageTest, PlaceOfAChild) {
  ExpectDamage(leaves_[0], [](DiskIndexNode& node) { node.values[0].store(0); });
  ExpectDamage(leaves_[0], [](DiskIndexNode& node) { node.values[0].store(kMaxMetadataBlocks); });
  Damage(root(), [](DiskIndexNode& node) { node.values[1].store(kDeviceBlocks); });
  EXPECT_EQ(Load().message(), "out of range");
  Damage(root(), [&](DiskIndexNode& node) { node.values[1].store(leaves_[0]); });
  EXPECT_EQ(Load().message(), "twice");
}

TEST_F(IndexTreeDamageTest, LeavesAtUnequalDepth) {
  ExpectDamage(leaves_[1], [&](DiskIndexNode& node) { node.header.flags.store(kBtreeInternal); });
}

TEST_F(IndexTreeDamageTest, TreeDeeperThanAnyDeviceNeeds) {
  std::vector<uint64_t> chain;
  for (int i = 0; i < 9; ++i) chain.push_back(map_.Allocate()->value());
  for (size_t i = 0; i < chain.size(); ++i) {
    Damage(chain[i], [&](DiskIndexNode& node) {
      node.header.flags.store(kBtreeInternal);
      node.header.max_entries.store(kBtreeMaxEntries);
      node.header.value_size.store(8);
      node.header.nr_entries.store(1);
      node.values[0].store(i + 1 < chain.size() ? chain[i + 1] : leaves_[0]);
    });
  }
  Damage(root(), [&](DiskIndexNode& node) {
    node.header.nr_entries.store(1);
    node.values[0].store(chain[0]);
  });
  EXPECT_THAT(Load(), CauseIs(EUCLEAN));
}

TEST_F(IndexTreeDamageTest, ReadErrorIsNoDamage) {
  FaultyDevice faulty(device_.Image(), {.fail_read_blocks = {leaves_[0]}});
  std::vector<uint32_t> locations;
  const auto loaded = IndexTree::Load(
      faulty, tree_->root(), [](MetadataBlock) { return absl::OkStatus(); }, locations);
  EXPECT_THAT(loaded, HasReasonIs(Reason::kIoError));
}

}  // namespace
}  // namespace dmcached
