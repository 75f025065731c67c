#include "core/store/snapshot.h"

#include <gtest/gtest.h>

#include "tests/core/store/store_fixture.h"

namespace dmcached {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() {
    EXPECT_THAT(store_.Format(4 * kArrayWordsPerBlock), IsOk());
    CommitRound(1);
  }
  void CommitRound(uint64_t round) {
    for (uint64_t block = 0; block < 4; ++block) {
      ASSERT_THAT(store_.Put(block * kArrayWordsPerBlock, round), IsOk());
    }
    ASSERT_THAT(store_.Commit(), IsOk());
  }
  // The word of each block, read as a snapshot's reader reads: straight from the device.
  std::vector<uint64_t> Read(const Snapshot& snapshot) {
    std::vector<uint64_t> words;
    for (const uint32_t location : snapshot.directory(ArrayKind::kMappings)) {
      AlignedBuffer block(kMetadataBlockBytes);
      EXPECT_THAT(store_.device().Read(location * kMetadataBlockBytes, block.span()), IsOk());
      EXPECT_THAT(CheckBlock(BlockType::kArrayBlock, MetadataBlock(location), block.span()), IsOk());
      words.push_back(LoadLe<uint64_t>(block.data() + sizeof(DiskArrayBlockHeader)));
    }
    return words;
  }

  TestStore store_{64};
};

TEST_F(SnapshotTest, StaysAsItWasWhileCommitsGoOn) {
  const auto snapshot = store_->TakeSnapshot();
  for (uint64_t round = 2; round < 30; ++round) {
    CommitRound(round);
    ASSERT_THAT(Read(*snapshot), testing::ElementsAre(1, 1, 1, 1)) << "round " << round;
  }
  EXPECT_FALSE(snapshot->revoked());
  EXPECT_THAT(Read(*store_->TakeSnapshot()), testing::ElementsAre(29, 29, 29, 29));
}

TEST_F(SnapshotTest, IsTheDurableStateAndNotTheOpenOne) {
  ASSERT_THAT(store_.Put(0, 9), IsOk());
  EXPECT_THAT(Read(*store_->TakeSnapshot()), testing::ElementsAre(1, 1, 1, 1));
  auto batch = store_.Prepare();
  const auto snapshot = store_->TakeSnapshot();
  EXPECT_EQ(snapshot->transaction(), store_->durable_transaction());
  EXPECT_THAT(Read(*snapshot), testing::ElementsAre(1, 1, 1, 1));
  const std::atomic<bool> stop = false;
  ASSERT_THAT(batch->Write(store_.device(), stop), IsOk());
  store_->Finish(std::move(batch));
  EXPECT_THAT(Read(*snapshot), testing::ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(Read(*store_->TakeSnapshot()), testing::ElementsAre(9, 1, 1, 1));
}

TEST_F(SnapshotTest, OfTheSameStateIsShared) {
  const auto first = store_->TakeSnapshot();
  EXPECT_EQ(store_->TakeSnapshot(), first);
  EXPECT_EQ(store_->PruneSnapshots(), 1u);
  CommitRound(2);
  EXPECT_NE(store_->TakeSnapshot(), first);
}

TEST_F(SnapshotTest, FifthRevokesTheOldest) {
  std::vector<std::shared_ptr<const Snapshot>> held;
  for (uint64_t round = 2; round < 7; ++round) {
    held.push_back(store_->TakeSnapshot());
    CommitRound(round);
  }
  EXPECT_TRUE(held[0]->revoked());
  for (size_t i = 1; i < held.size(); ++i) {
    EXPECT_FALSE(held[i]->revoked()) << i;
    EXPECT_THAT(Read(*held[i]), testing::Each(i + 1)) << i;
  }
  EXPECT_EQ(store_->PruneSnapshots(), kMaxSnapshots);
}

TEST_F(SnapshotTest, HoldsItsBlocksUntilItIsLetGo) {
  const uint64_t held_before = store_->held_metadata_blocks();
  auto snapshot = store_->TakeSnapshot();
  EXPECT_EQ(store_->held_metadata_blocks(), held_before) << "the durable state uses the same blocks";
  CommitRound(2);
  CommitRound(3);
  EXPECT_GE(store_->held_metadata_blocks(), 4u);
  snapshot.reset();
  store_->PruneSnapshots();
  EXPECT_EQ(store_->held_metadata_blocks(), 0u);
}

TEST_F(SnapshotTest, LetGoWithoutAWordItsBlocksAreFreeAfterTheNextCommit) {
  store_->TakeSnapshot();
  CommitRound(2);
  CommitRound(3);
  EXPECT_EQ(store_->held_metadata_blocks(), 0u);
}

TEST_F(SnapshotTest, RevokingTheOldestMakesRoom) {
  const auto first = store_->TakeSnapshot();
  CommitRound(2);
  const auto second = store_->TakeSnapshot();
  CommitRound(3);
  const uint64_t held = store_->held_metadata_blocks();
  EXPECT_TRUE(store_->RevokeOldestSnapshot());
  EXPECT_TRUE(first->revoked());
  EXPECT_FALSE(second->revoked());
  EXPECT_LT(store_->held_metadata_blocks(), held);
  EXPECT_THAT(Read(*second), testing::Each(2));
  EXPECT_TRUE(store_->RevokeOldestSnapshot());
  EXPECT_TRUE(second->revoked());
  EXPECT_FALSE(store_->RevokeOldestSnapshot());
}

TEST_F(SnapshotTest, RevokeAllEndsEveryReader) {
  const auto first = store_->TakeSnapshot();
  CommitRound(2);
  const auto second = store_->TakeSnapshot();
  store_->RevokeAllSnapshots();
  EXPECT_TRUE(first->revoked());
  EXPECT_TRUE(second->revoked());
  EXPECT_EQ(store_->PruneSnapshots(), 0u);
}

TEST_F(SnapshotTest, RevokedOneIsNotGivenOutAgain) {
  const auto first = store_->TakeSnapshot();
  store_->RevokeAllSnapshots();
  const auto again = store_->TakeSnapshot();
  EXPECT_NE(again, first);
  EXPECT_FALSE(again->revoked());
}

TEST_F(SnapshotTest, KnowsTheSuperblockAndTheDirectoryOfItsTransaction) {
  const auto snapshot = store_->TakeSnapshot();
  const uint64_t root = store_.superblock().mapping_root.value();
  store_->ResizeArray(ArrayKind::kMappings, kArrayWordsPerBlock, {});
  store_.superblock().cache_blocks = kArrayWordsPerBlock;
  ASSERT_THAT(store_.Commit(), IsOk());
  EXPECT_EQ(snapshot->superblock().mapping_root.value(), root);
  EXPECT_EQ(snapshot->superblock().cache_blocks, 4 * kArrayWordsPerBlock);
  EXPECT_THAT(Read(*snapshot), testing::ElementsAre(1, 1, 1, 1));
  EXPECT_EQ(store_->TakeSnapshot()->directory(ArrayKind::kMappings).size(), 1u);
  EXPECT_TRUE(snapshot->directory(ArrayKind::kHints).empty());
}

}  // namespace
}  // namespace dmcached
