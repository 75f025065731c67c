#include "core/store/space_map.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <set>

#include "core/format/layout.h"
#include "tests/core/store/store_fixture.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

// A large device of which only the blocks that were written take memory.
class SparseDevice : public BlockDevice {
 public:
  explicit SparseDevice(uint64_t blocks) : BlockDevice("sparse", nullptr), size_bytes_(blocks * kMetadataBlockBytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }
  size_t alignment_bytes() const override { return kMetadataBlockBytes; }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    for (const std::span<std::byte> buffer : buffers) {
      for (size_t i = 0; i < buffer.size(); i += kMetadataBlockBytes, offset_bytes += kMetadataBlockBytes) {
        const AlignedBuffer& block = At(offset_bytes);
        std::copy_n(block.data(), kMetadataBlockBytes, buffer.data() + i);
      }
    }
    return absl::OkStatus();
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    for (const std::span<const std::byte> buffer : buffers) {
      for (size_t i = 0; i < buffer.size(); i += kMetadataBlockBytes, offset_bytes += kMetadataBlockBytes) {
        std::copy_n(buffer.data() + i, kMetadataBlockBytes, At(offset_bytes).data());
      }
    }
    return absl::OkStatus();
  }
  absl::Status DoFlush() override { return absl::OkStatus(); }

 private:
  AlignedBuffer& At(uint64_t offset_bytes) {
    return blocks_.try_emplace(offset_bytes, kMetadataBlockBytes).first->second;
  }

  const uint64_t size_bytes_;
  std::map<uint64_t, AlignedBuffer> blocks_;
};

// Plays the commits of a space map on a device.
class SpaceMapTest : public testing::Test {
 protected:
  // The map of `blocks` blocks with an overflow leaf, committed.
  SpaceMap Committed(uint64_t blocks) {
    device_ = std::make_unique<SparseDevice>(blocks);
    SpaceMap map = SpaceMap::Create(blocks);
    const auto overflow = map.Allocate();
    EXPECT_THAT(overflow, IsOk());
    AlignedBuffer leaf(kMetadataBlockBytes);
    MutableDiskView<DiskBtreeNodeHeader>(leaf.span()).flags.store(kBtreeLeaf);
    SealBlock(BlockType::kBtreeNode, *overflow, leaf.span());
    EXPECT_THAT(device_->Write(BlockOffsetBytes(*overflow), leaf.span()), IsOk());
    map.set_ref_count_root(*overflow);
    Prepare(map);
    map.Finish();
    return map;
  }
  // Prepares and writes; returns how many blocks were written.
  size_t Prepare(SpaceMap& map) {
    std::vector<AlignedBuffer> buffers;
    std::vector<PendingWrite> writes;
    EXPECT_THAT(map.Prepare(buffers, writes), IsOk());
    for (const PendingWrite& write : writes) {
      AlignedBuffer copy(kMetadataBlockBytes);
      std::copy_n(write.data, kMetadataBlockBytes, copy.data());
      SealBlock(write.type, write.location, copy.span());
      EXPECT_THAT(device_->Write(BlockOffsetBytes(write.location), copy.span()), IsOk());
    }
    return writes.size();
  }
  absl::StatusOr<SpaceMap> Load(const SpaceMap& map) {
    damage_ = absl::OkStatus();
    return SpaceMap::Load(*device_, map.root(), damage_);
  }
  // What the device says is used is what the map says.
  void ExpectSameOnDevice(const SpaceMap& map) {
    const auto loaded = Load(map);
    ASSERT_THAT(loaded, IsOk());
    EXPECT_THAT(damage_, IsOk());
    uint64_t different = 0;
    for (uint64_t block = 0; block < map.blocks(); ++block) {
      if (loaded->used(MetadataBlock(block)) != map.used(MetadataBlock(block))) ++different;
    }
    EXPECT_EQ(different, 0u);
    EXPECT_EQ(loaded->free_blocks(), map.free_blocks());
    for (const MetadataBlock own : loaded->own_blocks()) EXPECT_TRUE(loaded->used(own));
  }
  static std::set<uint64_t> AllocateAll(SpaceMap& map) {
    std::set<uint64_t> blocks;
    while (map.allocatable_blocks() > 0) {
      const auto block = map.Allocate();
      EXPECT_THAT(block, IsOk());
      EXPECT_TRUE(blocks.insert(block->value()).second) << "handed out twice";
    }
    EXPECT_THAT(map.Allocate(), CauseIs(ENOSPC));
    return blocks;
  }

  std::unique_ptr<SparseDevice> device_;
  absl::Status damage_;
};

TEST_F(SpaceMapTest, FreshMapUsesOnlyTheSuperblock) {
  SpaceMap map = SpaceMap::Create(100);
  EXPECT_EQ(map.free_blocks(), 99u);
  EXPECT_EQ(map.allocatable_blocks(), 99u);
  EXPECT_TRUE(map.used(MetadataBlock(0)));
  EXPECT_EQ(AllocateAll(map).size(), 99u);
}

TEST_F(SpaceMapTest, AllocationGoesForward) {
  SpaceMap map = SpaceMap::Create(1000);
  for (uint64_t expected = 1; expected < 200; ++expected) EXPECT_EQ(map.Allocate()->value(), expected);
}

TEST_F(SpaceMapTest, WhatBecameFreeBehindIsTakenOnlyInTheNextRound) {
  SpaceMap map = SpaceMap::Create(100);
  for (uint64_t i = 1; i < 20; ++i) ASSERT_TRUE(map.Allocate().ok());
  map.Release(MetadataBlock(5));
  for (uint64_t expected = 20; expected < 100; ++expected) ASSERT_EQ(map.Allocate()->value(), expected);
  EXPECT_EQ(map.Allocate()->value(), 5u);
  EXPECT_EQ(map.allocatable_blocks(), 0u);
  map.Release(MetadataBlock(3));
  EXPECT_EQ(map.Allocate()->value(), 3u) << "behind the cursor, in its own word";
}

TEST_F(SpaceMapTest, BlockOfThisTransactionMayBeTakenAgainAtOnce) {
  SpaceMap map = Committed(100);
  const auto block = map.Allocate();
  const uint64_t allocatable = map.allocatable_blocks();
  map.Release(*block);
  EXPECT_EQ(map.allocatable_blocks(), allocatable + 1);
  EXPECT_TRUE(AllocateAll(map).contains(block->value()));
}

TEST_F(SpaceMapTest, BlockOfTheDurableStateIsHeldUntilItsReleaseIsDurable) {
  SpaceMap map = Committed(100);
  const MetadataBlock block = *map.Allocate();
  Prepare(map);
  map.Finish();
  const uint64_t allocatable = map.allocatable_blocks();
  map.Release(block);
  EXPECT_FALSE(map.used(block));
  EXPECT_EQ(map.allocatable_blocks(), allocatable) << "released, but the durable state uses it";
  SpaceMap copy = map;
  EXPECT_FALSE(AllocateAll(copy).contains(block.value()));
  Prepare(map);
  map.SetSnapshots({});  // Adds everything up anew.
  copy = map;
  EXPECT_FALSE(AllocateAll(copy).contains(block.value())) << "the durable state uses it until Finish";
  map.Finish();
  EXPECT_TRUE(AllocateAll(map).contains(block.value()));
}

TEST_F(SpaceMapTest, BlockOfTheCommittingStateIsHeld) {
  SpaceMap map = Committed(100);
  const MetadataBlock block = *map.Allocate();
  Prepare(map);  // In the committing state only.
  map.Release(block);
  map.SetSnapshots({});  // Adds everything up anew.
  SpaceMap copy = map;
  EXPECT_FALSE(AllocateAll(copy).contains(block.value()));
  map.Finish();
  copy = map;
  EXPECT_FALSE(AllocateAll(copy).contains(block.value())) << "durable by now";
  Prepare(map);
  map.Finish();
  EXPECT_TRUE(AllocateAll(map).contains(block.value()));
}

TEST_F(SpaceMapTest, BlockOfASnapshotIsHeldUntilItIsForgotten) {
  SpaceMap map = Committed(100);
  const MetadataBlock block = *map.Allocate();
  Prepare(map);
  map.Finish();
  const SpaceMap::Bits snapshot = map.durable();
  map.SetSnapshots({&snapshot});
  map.Release(block);
  Prepare(map);
  map.Finish();
  SpaceMap copy = map;
  EXPECT_FALSE(AllocateAll(copy).contains(block.value()));
  map.SetSnapshots({});
  EXPECT_TRUE(AllocateAll(map).contains(block.value()));
}

TEST_F(SpaceMapTest, CommitThatChangesOneBlockMovesOneBitmapAndTheIndex) {
  SpaceMap map = Committed(40000);  // Three bitmaps, the used blocks are in the first.
  ASSERT_THAT(map.Allocate(), IsOk());
  EXPECT_EQ(Prepare(map), 2u);
}

// A moved bitmap frees and takes blocks, which may lie in other bitmaps.
TEST_F(SpaceMapTest, BitmapsAreAtAFixpointAfterEachOfManyRandomCommits) {
  SpaceMap map = Committed(3 * kEntriesPerBitmap);
  Random random;
  std::vector<MetadataBlock> taken;
  for (int commit = 0; commit < 20; ++commit) {
    for (uint64_t i = random.Below(3000); i > 0 && map.allocatable_blocks() > 10; --i) taken.push_back(*map.Allocate());
    for (uint64_t i = random.Below(2500); i > 0 && !taken.empty(); --i) {
      std::swap(taken[random.Below(taken.size())], taken.back());
      map.Release(taken.back());
      taken.pop_back();
    }
    Prepare(map);
    ExpectSameOnDevice(map);
    map.Finish();
  }
}

TEST_F(SpaceMapTest, BitmapThatMovesOutOfTheRangeOfAnEarlierOneChangesThatOneToo) {
  SpaceMap map = Committed(3 * kEntriesPerBitmap);  // All bitmaps are in the range of the first.
  uint64_t last = 0;
  while (last < 2 * kEntriesPerBitmap - 6) last = map.Allocate()->value();
  Prepare(map);  // The first two move into the range of the second.
  map.Finish();
  ASSERT_LT(map.own_blocks()[3].value(), kEntriesPerBitmap);
  ASSERT_GE(map.own_blocks()[1].value(), kEntriesPerBitmap);
  while (last < 2 * kEntriesPerBitmap) last = map.Allocate()->value();
  Prepare(map);  // The first was unchanged when the third moved.
  ExpectSameOnDevice(map);
}

TEST_F(SpaceMapTest, EveryFrozenBitmapSurvivesChangesOfTheNextTransaction) {
  SpaceMap map = Committed(1000);
  const MetadataBlock block = *map.Allocate();
  Prepare(map);
  const SpaceMapRoot frozen = map.root();
  map.Release(block);
  absl::Status damage;
  const auto loaded = SpaceMap::Load(*device_, frozen, damage);
  ASSERT_THAT(loaded, IsOk());
  EXPECT_TRUE(loaded->used(block));
}

class SpaceMapSizeTest : public SpaceMapTest, public testing::WithParamInterface<uint64_t> {};

TEST_P(SpaceMapSizeTest, EveryBlockIsUsableAlsoInTheLastBitmap) {
  SpaceMap map = Committed(GetParam());
  ExpectSameOnDevice(map);
  SpaceMap full = map;
  const std::set<uint64_t> blocks = AllocateAll(full);
  EXPECT_TRUE(blocks.contains(GetParam() - 1));
  EXPECT_EQ(full.free_blocks(), 0u);
  EXPECT_EQ(blocks.size(), map.free_blocks());
}

TEST_P(SpaceMapSizeTest, IndexEntriesCountAsTheKernelCounts) {
  SpaceMap map = Committed(GetParam());
  AlignedBuffer index(kMetadataBlockBytes);
  ASSERT_THAT(device_->Read(BlockOffsetBytes(map.root().index_block), index.span()), IsOk());
  const auto& entries = DiskView<DiskIndexBlock>(index.span()).entries;
  for (uint64_t i = 0; i < kMaxBitmaps; ++i) {
    if (i >= map.bitmap_count()) {
      EXPECT_EQ(entries[i].blocknr.load(), 0u);
      continue;
    }
    uint64_t used = 0;
    uint64_t first_free = kEntriesPerBitmap;
    for (uint64_t e = 0; e < kEntriesPerBitmap; ++e) {
      const uint64_t block = i * kEntriesPerBitmap + e;
      const bool in_use = block < map.blocks() && map.used(MetadataBlock(block));
      used += in_use ? 1 : 0;
      if (!in_use) first_free = std::min(first_free, e);
    }
    EXPECT_EQ(entries[i].nr_free.load(), kEntriesPerBitmap - used) << "bitmap " << i;
    EXPECT_LE(entries[i].none_free_before.load(), first_free) << "a lower bound, bitmap " << i;
  }
  EXPECT_EQ(map.root().allocated, map.blocks() - map.free_blocks());
}

INSTANTIATE_TEST_SUITE_P(LastBitmap, SpaceMapSizeTest,
                         testing::Values(64, 65, 16319, 16320, 16321, 16384, 32639, 32640, 32641, 48960));

class SpaceMapDamageTest : public SpaceMapTest {
 protected:
  SpaceMapDamageTest() : map_(Committed(20000)) {}
  uint64_t index() const { return map_.root().index_block.value(); }
  uint64_t bitmap(size_t i) const { return map_.own_blocks()[1 + i].value(); }

  SpaceMap map_;
};

TEST_F(SpaceMapDamageTest, CountAboveOneIsDamageAndInUse) {
  for (const uint64_t field : {kBitmapCount2, kBitmapCountMany}) {
    Tamper(*device_, bitmap(0), BlockType::kSpaceMapBitmap, [&](std::span<std::byte> block) {
      MutableDiskView<DiskBitmapBlock>(block).words[10].store(field << 6);  // Block 10 * 32 + 3.
    });
    const auto loaded = Load(map_);
    ASSERT_THAT(loaded, IsOk());
    EXPECT_THAT(damage_, HasReasonIs(Reason::kMetadataCorrupt));
    EXPECT_THAT(std::string(damage_.message()), testing::HasSubstr("block 323 "));
    EXPECT_TRUE(loaded->used(MetadataBlock(323)));
  }
}

TEST_F(SpaceMapDamageTest, UsedOverflowTreeIsDamage) {
  Tamper(*device_, map_.ref_count_root().value(), BlockType::kBtreeNode,
         [](std::span<std::byte> block) { MutableDiskView<DiskBtreeNodeHeader>(block).nr_entries.store(1); });
  EXPECT_THAT(Load(map_), IsOk());
  EXPECT_THAT(damage_, HasReasonIs(Reason::kMetadataCorrupt));
}

TEST_F(SpaceMapDamageTest, BrokenChecksumsAreRefused) {
  for (const uint64_t block : {index(), bitmap(0), bitmap(1), map_.ref_count_root().value()}) {
    const auto flip = [](std::span<std::byte> bytes) { bytes[4000] ^= std::byte{1}; };
    Tamper(*device_, block, std::nullopt, flip);
    EXPECT_THAT(Load(map_), CauseIs(EILSEQ)) << "block " << block;
    Tamper(*device_, block, std::nullopt, flip);
  }
  EXPECT_THAT(Load(map_), IsOk());
}

TEST_F(SpaceMapDamageTest, BlockFromElsewhereIsRefused) {
  Tamper(*device_, bitmap(1), std::nullopt, [&](std::span<std::byte> bytes) {
    SealBlock(BlockType::kSpaceMapBitmap, MetadataBlock(bitmap(1) + 1), bytes);
  });
  EXPECT_THAT(Load(map_), CauseIs(ENOTBLK));
}

TEST_F(SpaceMapDamageTest, LocationsOutsideTheMapAreRefused) {
  for (const uint64_t location : {uint64_t{0}, map_.blocks(), ~uint64_t{0}}) {
    Tamper(*device_, index(), BlockType::kSpaceMapIndex, [&](std::span<std::byte> block) {
      MutableDiskView<DiskIndexBlock>(block).entries[1].blocknr.store(location);
    });
    EXPECT_THAT(Load(map_), CauseIs(EUCLEAN));
  }
  const std::pair<uint64_t, uint64_t> roots[] = {{0, 1}, {20001, 1}, {20000, 20000}, {20000, 0}};
  for (const auto& [blocks, index_block] : roots) {
    SpaceMapRoot root = map_.root();
    root.blocks = blocks;
    root.index_block = MetadataBlock(index_block);
    EXPECT_THAT(SpaceMap::Load(*device_, root, damage_), CauseIs(EUCLEAN));
  }
}

// Old kernels left memory there.
TEST_F(SpaceMapDamageTest, IndexEntriesAndBitsPastTheEndAreIgnored) {
  Tamper(*device_, index(), BlockType::kSpaceMapIndex, [](std::span<std::byte> block) {
    auto& entries = MutableDiskView<DiskIndexBlock>(block).entries;
    for (size_t i = 2; i < kMaxBitmaps; ++i) entries[i].blocknr.store(~uint64_t{0});
  });
  Tamper(*device_, bitmap(1), BlockType::kSpaceMapBitmap, [](std::span<std::byte> block) {
    auto& words = MutableDiskView<DiskBitmapBlock>(block).words;
    words[kBitmapWords - 1].store(~uint64_t{0});
    words[(20000 - kEntriesPerBitmap) / 32].store(~uint64_t{0});  // 20000 is a multiple of 32.
  });
  ExpectSameOnDevice(map_);
}

}  // namespace
}  // namespace dmcached
