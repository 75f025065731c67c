#include "core/cache/block_states.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dmcached {
namespace {

using testing::ElementsAre;

std::vector<uint32_t> Free(BlockStates& states, size_t max) {
  std::vector<uint32_t> free;
  states.VisitFree([&](Cblock cblock) {
    if (free.size() == max) return false;
    free.push_back(cblock.value());
    return true;
  });
  return free;
}

class BlockStatesTest : public testing::Test {
 protected:
  BlockStatesTest() { states_.Resize(130); }
  void Commit() {
    states_.Prepare();
    states_.Finish();
  }

  BlockStates states_;
};

TEST_F(BlockStatesTest, CountsFollowEveryChange) {
  states_.SetMapped(0);
  states_.SetMapped(129);
  states_.SetDirtyBit(129, true);
  states_.SetDirtyBit(129, true);
  EXPECT_EQ(states_.mapped_count(), 2u);
  EXPECT_EQ(states_.dirty_count(), 1u);
  EXPECT_EQ(states_.free_count(), 128u);
  states_.SetDirtyBit(129, false);
  EXPECT_EQ(states_.dirty_count(), 0u);
}

TEST_F(BlockStatesTest, DirtyBitOfAnUnmappedCblockCountsOnlyOnceItIsMapped) {
  states_.SetDirtyBit(7, true);
  EXPECT_TRUE(states_.dirty_bit(7));
  EXPECT_FALSE(states_.dirty(7));
  EXPECT_EQ(states_.dirty_count(), 0u);
  states_.SetMapped(7);
  EXPECT_EQ(states_.dirty_count(), 1u);
}

TEST_F(BlockStatesTest, RemovedCblockIsHeldUntilTheRemovalIsDurable) {
  states_.SetMapped(5);
  states_.SetDirtyBit(5, true);
  Commit();
  states_.Remove(5);
  EXPECT_FALSE(states_.mapped(5));
  EXPECT_FALSE(states_.dirty_bit(5));
  EXPECT_FALSE(states_.IsFree(Cblock(5)));
  states_.Prepare();
  EXPECT_FALSE(states_.IsFree(Cblock(5)));
  EXPECT_EQ(states_.free_count(), 129u);
  states_.Finish();
  EXPECT_TRUE(states_.IsFree(Cblock(5)));
  EXPECT_EQ(states_.free_count(), 130u);
  EXPECT_FALSE(states_.IsFree(Cblock(130)));
}

TEST_F(BlockStatesTest, RemovalWhileACommitIsInFlightWaitsForTheNextOne) {
  states_.SetMapped(5);
  states_.Prepare();
  states_.Remove(5);
  states_.Finish();
  EXPECT_FALSE(states_.IsFree(Cblock(5)));
  Commit();
  EXPECT_TRUE(states_.IsFree(Cblock(5)));
}

TEST_F(BlockStatesTest, CutAndGrownAgainItIsStillHeld) {
  states_.SetMapped(100);
  Commit();
  states_.Resize(70);
  EXPECT_EQ(states_.mapped_count(), 0u);
  states_.Resize(130);
  EXPECT_FALSE(states_.IsFree(Cblock(100)));
  EXPECT_TRUE(states_.IsFree(Cblock(99)));
  EXPECT_EQ(states_.free_count(), 129u);
  Commit();
  EXPECT_TRUE(states_.IsFree(Cblock(100)));
  EXPECT_EQ(states_.free_count(), 130u);
}

TEST_F(BlockStatesTest, GrownCblocksAreUnmappedAndClean) {
  states_.LoadDirtyWord(2, ~uint64_t{0});
  EXPECT_FALSE(states_.dirty_bit(127));
  EXPECT_TRUE(states_.dirty_bit(129));
  states_.Resize(192);
  EXPECT_FALSE(states_.dirty_bit(130)) << "bits past the end were not taken over";
  EXPECT_EQ(states_.free_count(), 192u);
}

TEST_F(BlockStatesTest, DirtyFromNamesTheFirstOnes) {
  for (const uint32_t cblock : {10u, 64u, 65u, 128u}) {
    states_.SetMapped(cblock);
    states_.SetDirtyBit(cblock, true);
  }
  states_.SetDirtyBit(129, true);  // Not mapped.
  std::vector<uint32_t> found;
  EXPECT_EQ(states_.CountDirtyFrom(64, 2, found), 3u);
  EXPECT_THAT(found, ElementsAre(64, 65));
  found.clear();
  EXPECT_EQ(states_.CountDirtyFrom(65, 9, found), 2u);
  EXPECT_THAT(found, ElementsAre(65, 128));
  found.clear();
  EXPECT_EQ(states_.CountDirtyFrom(130, 9, found), 0u);
}

TEST_F(BlockStatesTest, FreeCblocksGoOnWhereTheLastSearchEnded) {
  states_.SetMapped(1);
  EXPECT_THAT(Free(states_, 3), ElementsAre(0, 2, 3));
  EXPECT_THAT(Free(states_, 3), ElementsAre(4, 5, 6));
  const std::vector<uint32_t> rest = Free(states_, 1000);
  EXPECT_EQ(rest.size(), 129u) << "once round, each once";
  EXPECT_EQ(rest.front(), 7u);
  EXPECT_EQ(rest.back(), 6u);
}

TEST_F(BlockStatesTest, VisitMappedInOrder) {
  for (const uint32_t cblock : {129u, 0u, 64u}) states_.SetMapped(cblock);
  states_.SetDirtyBit(64, true);
  std::vector<uint32_t> all;
  states_.VisitMapped(false, [&](uint32_t cblock) {
    all.push_back(cblock);
    return cblock != 64;
  });
  EXPECT_THAT(all, ElementsAre(0, 64));
  std::vector<uint32_t> dirty;
  states_.VisitMapped(true, [&](uint32_t cblock) {
    dirty.push_back(cblock);
    return true;
  });
  EXPECT_THAT(dirty, ElementsAre(64));
}

TEST(BlockStatesSizeTest, NoCblocks) {
  BlockStates states;
  states.Resize(0);
  EXPECT_EQ(states.free_count(), 0u);
  EXPECT_TRUE(Free(states, 5).empty());
  EXPECT_FALSE(states.IsFree(Cblock(0)));
}

}  // namespace
}  // namespace dmcached
