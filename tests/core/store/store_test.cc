#include "core/store/store.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/core/store/store_fixture.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

// Blocks that the superblock reaches.
uint64_t Reachable(Store& store) {
  uint64_t blocks = 3 + CeilDiv(store.metadata_blocks(), kEntriesPerBitmap);
  for (const ArrayKind kind : {ArrayKind::kMappings, ArrayKind::kDirty, ArrayKind::kDiscards, ArrayKind::kHints}) {
    if (store.has_array(kind)) blocks += store.array(kind).slots().size() + store.array(kind).index().node_count();
  }
  return blocks;
}
uint64_t Used(Store& store) { return store.metadata_blocks() - store.free_metadata_blocks(); }

void Write(TestStore& store, CommitBatch& batch) {
  const std::atomic<bool> stop = false;
  ASSERT_THAT(batch.Write(store.device(), stop), IsOk());
}

TEST(StoreTest, FormattedStoreLoadsAndUsesWhatItReaches) {
  TestStore store;
  ASSERT_THAT(store.Format(1000), IsOk());
  EXPECT_EQ(Used(*store), Reachable(*store));
  ASSERT_THAT(store.Load(), IsOk());
  EXPECT_THAT(store->damage(), IsOk());
  EXPECT_EQ(store.mappings().entries(), 1000u);
  EXPECT_EQ(Used(*store), Reachable(*store));
  EXPECT_EQ(store.superblock().space_map.allocated, Reachable(*store));
}

TEST(StoreTest, UncommittedChangesAreLost) {
  TestStore store;
  ASSERT_THAT(store.Format(1000), IsOk());
  ASSERT_THAT(store.Put(5, 50), IsOk());
  EXPECT_EQ(*store.Get(5), 50u);
  ASSERT_THAT(store.Load(), IsOk());
  EXPECT_EQ(*store.Get(5), 0u);
}

TEST(StoreTest, BlockMovesOnceInATransaction) {
  TestStore store;
  ASSERT_THAT(store.Format(1000), IsOk());
  const uint32_t before = store.mappings().slot(0).location;
  ASSERT_THAT(store.Put(0, 1), IsOk());
  const uint32_t moved = store.mappings().slot(0).location;
  EXPECT_NE(moved, before);
  ASSERT_THAT(store.Put(1, 1), IsOk());
  EXPECT_EQ(store.mappings().slot(0).location, moved);
  ASSERT_THAT(store.Commit(), IsOk());
  ASSERT_THAT(store.Put(1, 2), IsOk());
  EXPECT_NE(store.mappings().slot(0).location, moved);
}

TEST(StoreTest, FrozenFrameIsCopiedBeforeTheNextTransactionChangesIt) {
  TestStore store;
  ASSERT_THAT(store.Format(1000), IsOk());
  ASSERT_THAT(store.Put(0, 1), IsOk());
  const Frame* frozen = store.mappings().slot(0).frame;
  auto batch = store.Prepare();
  EXPECT_EQ(*store.Get(0), 1u);
  ASSERT_THAT(store.Put(0, 2), IsOk());
  EXPECT_NE(store.mappings().slot(0).frame, frozen);
  EXPECT_EQ(*store.Get(0), 2u) << "readers see the newest";
  Write(store, *batch);  // Writes 1.
  store->Finish(std::move(batch));
  EXPECT_EQ(*store.Get(0), 2u);
  TestStore durable(std::make_shared<FaultyDevice>(static_cast<FaultyDevice&>(store.device()).CrashImage(0)));
  ASSERT_THAT(durable.Load(), IsOk());
  EXPECT_EQ(*durable.Get(0), 1u);
  ASSERT_THAT(store.Commit(), IsOk());
  ASSERT_THAT(store.Load(), IsOk());
  EXPECT_EQ(*store.Get(0), 2u);
  EXPECT_EQ(Used(*store), Reachable(*store));
}

TEST(StoreTest, FrozenFrameThatNobodyChangesStaysResident) {
  TestStore store;
  ASSERT_THAT(store.Format(1000), IsOk());
  ASSERT_THAT(store.Put(0, 1), IsOk());
  const Frame* frame = store.mappings().slot(0).frame;
  ASSERT_THAT(store.Commit(), IsOk());
  EXPECT_EQ(store.mappings().slot(0).frame, frame);
  EXPECT_EQ(frame->state, Frame::State::kClean);
}

TEST(StoreTest, CheckSpaceKeepsBackWhatTheCommitNeeds) {
  TestStore store(64);
  ASSERT_THAT(store.Format(10 * kArrayWordsPerBlock), IsOk());
  const uint64_t kept_back = 2 + 1 + 1;  // Two index roots (mappings, discards), a bitmap, the index block.
  const uint64_t free = store->free_metadata_blocks() - store->held_metadata_blocks();
  EXPECT_THAT(store->CheckSpace(free - kept_back), IsOk());
  EXPECT_THAT(store->CheckSpace(free - kept_back + 1), CauseIs(ENOSPC));
  EXPECT_THAT(store->CheckSpace(free - kept_back - 1, 1), IsOk());
  EXPECT_THAT(store->CheckSpace(free - kept_back, 1), HasReasonIs(Reason::kMetadataNoSpace));
}

TEST(StoreTest, FullStoreCommitsWhatItAcceptedAndGoesOn) {
  TestStore store(32);
  ASSERT_THAT(store.Format(10 * kArrayWordsPerBlock), IsOk());
  for (uint64_t round = 1; round < 50; ++round) {
    uint64_t changed = 0;
    while (changed < 10 && store.Put(changed * kArrayWordsPerBlock, round).ok()) ++changed;
    ASSERT_GT(changed, 0u);
    ASSERT_THAT(store.Commit(), IsOk());
    for (uint64_t block = 0; block < changed; ++block) EXPECT_EQ(*store.Get(block * kArrayWordsPerBlock), round);
  }
  ASSERT_THAT(store.Load(), IsOk());
  EXPECT_EQ(Used(*store), Reachable(*store));
}

TEST(StoreTest, ArraysAreResizedReplacedAndDroppedWithoutLeaks) {
  TestStore store(1024);
  ASSERT_THAT(store.Format(2 * kArrayWordsPerBlock), IsOk());
  ASSERT_THAT(store.Put(0, 77), IsOk());
  auto check = [&] {
    ASSERT_THAT(store.Commit(), IsOk());
    EXPECT_EQ(Used(*store), Reachable(*store));
    ASSERT_THAT(store.Load(), IsOk());
    EXPECT_THAT(store->damage(), IsOk());
    EXPECT_EQ(Used(*store), Reachable(*store));
    EXPECT_EQ(*store.Get(0), 77u);
  };
  check();
  // Grow by whole blocks: 2 to 300, over the boundary of one index node.
  const uint64_t grown = 300 * kArrayWordsPerBlock;
  store->ResizeArray(ArrayKind::kMappings, grown, store.Fresh(ArrayKind::kMappings, 2, grown));
  store.superblock().cache_blocks = static_cast<uint32_t>(grown);
  store.Create(ArrayKind::kHints, grown);
  check();
  EXPECT_EQ(store->array(ArrayKind::kHints).entries(), grown);
  store.Create(ArrayKind::kHints, grown);  // In place of the old one.
  check();
  store->ResizeArray(ArrayKind::kMappings, kArrayWordsPerBlock, {});
  store->DropArray(ArrayKind::kHints);
  store.superblock().cache_blocks = kArrayWordsPerBlock;
  check();
  EXPECT_FALSE(store->has_array(ArrayKind::kHints));
  EXPECT_EQ(store.superblock().hint_root.value(), 0u);
}

TEST(StoreTest, BlockChangedAndThenCutInOneTransactionIsNotWritten) {
  TestStore store;
  ASSERT_THAT(store.Format(2 * kArrayWordsPerBlock), IsOk());
  ASSERT_THAT(store.Put(kArrayWordsPerBlock, 5), IsOk());
  store->ResizeArray(ArrayKind::kMappings, kArrayWordsPerBlock, {});
  store.superblock().cache_blocks = kArrayWordsPerBlock;
  ASSERT_THAT(store.Commit(), IsOk());
  ASSERT_THAT(store.Load(), IsOk());
  EXPECT_EQ(Used(*store), Reachable(*store));
}

TEST(StoreTest, DroppedWithChangesInEveryStateItFreesItsFrames) {
  TestStore store;
  ASSERT_THAT(store.Format(3 * kArrayWordsPerBlock), IsOk());
  ASSERT_THAT(store.Put(0, 1), IsOk());
  auto batch = store.Prepare();
  ASSERT_THAT(store.Put(0, 2), IsOk());                    // Orphans the frozen frame.
  ASSERT_THAT(store.Put(kArrayWordsPerBlock, 2), IsOk());  // The leak sanitizer judges.
  store->ResizeArray(ArrayKind::kMappings, kArrayWordsPerBlock, {});
}

TEST(StoreTest, AllocatedCountOfTheSuperblockIsThatOfTheBitmapsItNames) {
  TestStore store;
  ASSERT_THAT(store.Format(1000), IsOk());
  const MetadataBlock bulk = store->AllocateBulk();
  ASSERT_THAT(store.Commit(), IsOk());
  store->ReleaseBulk(bulk);
  ASSERT_THAT(store.Commit(), IsOk());
  ASSERT_THAT(store.Load(), IsOk());
  EXPECT_EQ(store.superblock().space_map.allocated, Used(*store));
}

// --- Damage that is found at load ---

class StoreDamageTest : public testing::Test {
 protected:
  StoreDamageTest() { EXPECT_THAT(store_.Format(3 * kArrayWordsPerBlock), IsOk()); }
  uint64_t location(uint64_t block) { return store_.mappings().slot(block).location; }

  TestStore store_;
};

TEST_F(StoreDamageTest, BlockInUseButFreeInTheMap) {
  const uint64_t victim = location(1);
  AlignedBuffer index(kMetadataBlockBytes);
  ASSERT_THAT(store_.device().Read(BlockOffsetBytes(store_.superblock().space_map.index_block), index.span()), IsOk());
  const uint64_t bitmap = DiskView<DiskIndexBlock>(index.span()).entries[0].blocknr.load();
  Tamper(store_.device(), bitmap, BlockType::kSpaceMapBitmap, [&](std::span<std::byte> block) {
    auto& word = MutableDiskView<DiskBitmapBlock>(block).words[victim / 32];
    word.store(word.load() & ~(uint64_t{3} << (victim % 32 * 2)));
  });
  ASSERT_THAT(store_.Load(), IsOk());
  EXPECT_THAT(store_->damage(), HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(std::string(store_->damage().message()), testing::HasSubstr(absl::StrCat("block ", victim, " ")));
}

TEST_F(StoreDamageTest, ArrayBlockUsedTwice) {
  Tamper(store_.device(), store_.superblock().mapping_root.value(), BlockType::kBtreeNode,
         [&](std::span<std::byte> block) { MutableDiskView<DiskIndexNode>(block).values[2].store(location(0)); });
  ASSERT_THAT(store_.Load(), IsOk());
  EXPECT_THAT(std::string(store_->damage().message()), testing::HasSubstr("used twice"));
}

TEST_F(StoreDamageTest, ArrayBlockBeyondTheDevice) {
  Tamper(store_.device(), store_.superblock().mapping_root.value(), BlockType::kBtreeNode,
         [&](std::span<std::byte> block) { MutableDiskView<DiskIndexNode>(block).values[2].store(256); });
  EXPECT_THAT(store_.Load(), CauseIs(EUCLEAN));
}

TEST_F(StoreDamageTest, FewerBlocksThanTheSuperblockSays) {
  store_.superblock().cache_blocks = 3 * kArrayWordsPerBlock + 1;
  ASSERT_THAT(store_.Commit(), IsOk());
  EXPECT_THAT(store_.Load(), CauseIs(EUCLEAN));
}

TEST_F(StoreDamageTest, MoreBlocksThanTheSuperblockSaysAreIgnoredAndFreedByTheNextResize) {
  store_.superblock().cache_blocks = 10;
  ASSERT_THAT(store_.Commit(), IsOk());
  ASSERT_THAT(store_.Load(), IsOk());
  EXPECT_THAT(store_->damage(), IsOk());
  EXPECT_EQ(store_.mappings().entries(), 10u);
  EXPECT_EQ(store_.mappings().blocks(), 1u);
  EXPECT_EQ(store_.mappings().slots().size(), 3u);
  ASSERT_THAT(store_.Put(0, 1), IsOk());
  ASSERT_THAT(store_.Commit(), IsOk());
  ASSERT_THAT(store_.Load(), IsOk());
  EXPECT_EQ(store_.mappings().slots().size(), 3u);
  store_->ResizeArray(ArrayKind::kMappings, 10, {});
  ASSERT_THAT(store_.Commit(), IsOk());
  ASSERT_THAT(store_.Load(), IsOk());
  EXPECT_EQ(store_.mappings().slots().size(), 1u);
  EXPECT_EQ(Used(*store_), Reachable(*store_));
}

}  // namespace
}  // namespace dmcached
