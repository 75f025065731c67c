#include "core/store/block_cache.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/core/store/store_fixture.h"

namespace dmcached {
namespace {

class BlockCacheTest : public testing::Test {
 protected:
  Frame* Fill(size_t slot) {
    Frame* frame = cache_.NewFrame();
    cache_.Adopt(frame, &slots_[slot]);
    return frame;
  }
  size_t resident() const {
    size_t count = 0;
    for (const Slot& slot : slots_) count += slot.frame != nullptr ? 1 : 0;
    return count;
  }
  void TrimFully() {  // One Trim is bounded.
    for (int i = 0; i < 10; ++i) cache_.Trim();
  }

  BlockCache cache_{4 * kMetadataBlockBytes};
  std::vector<Slot> slots_{16};
};

TEST_F(BlockCacheTest, TrimKeepsTheBudget) {
  for (size_t i = 0; i < 16; ++i) Fill(i);
  EXPECT_EQ(cache_.bytes(), 16 * kMetadataBlockBytes) << "Adopt never evicts";
  TrimFully();
  EXPECT_EQ(cache_.bytes(), 4 * kMetadataBlockBytes);
  EXPECT_EQ(resident(), 4u);
}

TEST_F(BlockCacheTest, WithinTheBudgetNothingIsEvicted) {
  for (size_t i = 0; i < 4; ++i) Fill(i);
  TrimFully();
  EXPECT_EQ(resident(), 4u);
}

TEST_F(BlockCacheTest, OnlyCleanFramesAreEvicted) {
  for (size_t i = 0; i < 16; ++i) {
    Fill(i)->state = i < 3 ? Frame::State::kRunning : i < 6 ? Frame::State::kFrozen : Frame::State::kClean;
  }
  TrimFully();
  for (size_t i = 0; i < 6; ++i) EXPECT_NE(slots_[i].frame, nullptr) << i;
  EXPECT_EQ(resident(), 6u) << "above the budget, because six are needed";
  for (size_t i = 0; i < 6; ++i) slots_[i].frame->state = Frame::State::kClean;
  TrimFully();
  EXPECT_EQ(resident(), 4u);
}

TEST_F(BlockCacheTest, PinnedFramesAreNotEvicted) {
  for (size_t i = 0; i < 16; ++i) Fill(i)->pins = i % 2 == 0 ? 1 : 0;
  TrimFully();
  for (size_t i = 0; i < 16; i += 2) EXPECT_NE(slots_[i].frame, nullptr) << i;
  EXPECT_EQ(resident(), 8u);
}

TEST_F(BlockCacheTest, FramesInUseSurviveOneRoundOfTheHand) {
  for (size_t i = 0; i < 8; ++i) Fill(i)->slot->referenced = i == 2;
  TrimFully();
  EXPECT_NE(slots_[2].frame, nullptr);
  EXPECT_EQ(resident(), 4u);
}

TEST_F(BlockCacheTest, DroppedFrameLivesAsLongAsItIsPinned) {
  Frame* frame = Fill(0);
  Fill(1);
  frame->pins = 1;
  cache_.Drop(frame);
  EXPECT_EQ(slots_[0].frame, nullptr);
  EXPECT_EQ(cache_.bytes(), kMetadataBlockBytes) << "it counts no more";
  frame->data()[0] = std::byte{1};  // Alive, or the address sanitizer says so.
  frame->pins = 0;
  FreeIfOrphan(frame);
  EXPECT_NE(slots_[1].frame, nullptr);
}

TEST_F(BlockCacheTest, DroppingKeepsThePlacesOfTheOthersRight) {
  for (size_t i = 0; i < 5; ++i) Fill(i);
  for (const size_t i : {1u, 4u, 0u, 2u, 3u}) cache_.Drop(slots_[i].frame);
  EXPECT_EQ(cache_.bytes(), 0u);
}

TEST(BlockCacheBudgetTest, ReadingAWholeArrayKeepsTheBudget) {
  TestStore store(256, 8 * kMetadataBlockBytes);
  ASSERT_THAT(store.Format(100 * kArrayWordsPerBlock), IsOk());
  for (uint64_t block = 0; block < 100; ++block) {
    ASSERT_THAT(store.Get(block * kArrayWordsPerBlock), IsOk());
    EXPECT_LE(store->cache().bytes(), 9 * kMetadataBlockBytes);
  }
}

TEST(BlockCacheBudgetTest, ChangedBlocksStayUntilTheyAreDurable) {
  TestStore store(512, 8 * kMetadataBlockBytes);
  ASSERT_THAT(store.Format(50 * kArrayWordsPerBlock), IsOk());
  for (uint64_t block = 0; block < 50; ++block) ASSERT_THAT(store.Put(block * kArrayWordsPerBlock, 7), IsOk());
  EXPECT_EQ(store->cache().bytes(), 50 * kMetadataBlockBytes);
  EXPECT_TRUE(store->running_frames_over_half());
  ASSERT_THAT(store.Commit(), IsOk());
  EXPECT_FALSE(store->running_frames_over_half());
  for (int i = 0; i < 5; ++i) store->cache().Trim();
  EXPECT_LE(store->cache().bytes(), 8 * kMetadataBlockBytes);
  for (uint64_t block = 0; block < 50; ++block) EXPECT_EQ(*store.Get(block * kArrayWordsPerBlock), 7u);
}

}  // namespace
}  // namespace dmcached
