#include "core/cache/origin_index.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "core/cache/origin_index_builder.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

// The index beside the truth: which oblock each cblock maps.
class OriginIndexTest : public testing::Test {
 protected:
  void Insert(uint64_t oblock, uint32_t cblock) {
    index_.Insert(Oblock(oblock), Cblock(cblock));
    oblocks_[cblock] = oblock;
  }
  void Erase(uint32_t cblock) {
    index_.Erase(Oblock(oblocks_.at(cblock)), Cblock(cblock));
    oblocks_.erase(cblock);
  }
  std::optional<Cblock> Find(uint64_t oblock) {
    return index_.Find(Oblock(oblock), [&](Cblock cblock) {
      ++asked_;
      const auto found = oblocks_.find(cblock.value());
      return found != oblocks_.end() && found->second == oblock;
    });
  }
  void ExpectAllFound() {
    for (const auto& [cblock, oblock] : oblocks_) ASSERT_EQ(Find(oblock), Cblock(cblock)) << oblock;
  }

  OriginIndex index_;
  std::map<uint32_t, uint64_t> oblocks_;
  uint64_t asked_ = 0;
};

TEST_F(OriginIndexTest, FullToItsCapacityItFindsEverythingAndAsksForLittleElse) {
  constexpr uint32_t kEntries = 20000;
  index_.Grow(kEntries);
  for (uint32_t i = 0; i < kEntries; ++i) Insert(uint64_t{i} * 12345, i);
  ExpectAllFound();
  EXPECT_LT(asked_, kEntries * 11 / 10);
  asked_ = 0;
  for (uint32_t i = 0; i < kEntries; ++i) ASSERT_EQ(Find(uint64_t{i} * 12345 + 1), std::nullopt);
  EXPECT_LT(asked_, kEntries / 5) << "a tag that matches by chance";
}

TEST_F(OriginIndexTest, ChurnLeavesNoTombstones) {
  constexpr uint32_t kEntries = 1000;
  index_.Grow(kEntries);
  Random random;
  uint64_t next = 0;
  for (uint32_t i = 0; i < kEntries; ++i) Insert(++next, i);
  for (int round = 0; round < 200000; ++round) {
    const auto cblock = static_cast<uint32_t>(random.Below(kEntries));
    Erase(cblock);
    ASSERT_EQ(Find(next + 1), std::nullopt);
    Insert(++next, cblock);
  }
  ExpectAllFound();
  asked_ = 0;
  for (uint64_t i = 1; i <= 1000; ++i) ASSERT_EQ(Find(next + i), std::nullopt);
  EXPECT_LT(asked_, 300u) << "a search still ends early";
}

TEST_F(OriginIndexTest, ManyInOneBucketOverflowAndComeBack) {
  index_.Grow(16);  // Two buckets: half of all entries have the same home.
  for (uint32_t round = 0; round < 500; ++round) {
    for (uint32_t i = 0; i < 16; ++i) Insert(uint64_t{round} * 100 + i, i);
    ExpectAllFound();
    for (uint32_t i = 0; i < 16; ++i) {
      Erase((i * 7 + round) % 16);
      ExpectAllFound();
    }
    for (uint32_t i = 0; i < 16; ++i) ASSERT_EQ(Find(uint64_t{round} * 100 + i), std::nullopt);
  }
}

TEST_F(OriginIndexTest, GrowsWithoutForgetting) {
  uint32_t size = 10;
  index_.Grow(size);
  for (uint32_t i = 0; i < size; ++i) Insert(i, i);
  for (int step = 0; step < 20; ++step) {
    const uint32_t grown = size + 1 + size / 3;
    index_.Grow(grown - size);
    for (uint32_t i = size; i < grown; ++i) Insert(i, i);
    size = grown;
    ExpectAllFound();
  }
  while (!oblocks_.empty()) Erase(oblocks_.begin()->first);
  for (uint32_t i = 0; i < size; ++i) ASSERT_EQ(Find(i), std::nullopt);
  for (uint32_t i = 0; i < size; ++i) Insert(1000000 + i, i);
  ExpectAllFound();
}

TEST_F(OriginIndexTest, DropFromForgetsTheCutPart) {
  index_.Grow(1000);
  for (uint32_t i = 0; i < 1000; ++i) Insert(i * 3, i);
  index_.DropFrom(Cblock(400));
  for (uint32_t i = 400; i < 1000; ++i) {
    const std::optional<Cblock> found = index_.Find(Oblock(i * 3), [&](Cblock cblock) { return cblock == Cblock(i); });
    ASSERT_EQ(found, std::nullopt) << i;
    oblocks_.erase(i);
  }
  ExpectAllFound();
  index_.Grow(600);
  for (uint32_t i = 400; i < 1000; ++i) Insert(5000 + i, i);
  ExpectAllFound();
}

TEST_F(OriginIndexTest, BuiltInLanesItHoldsEverything) {
  // Scratch for a part of them only, so that lanes fill up; more than one part; not a multiple of anything.
  constexpr uint32_t kEntries = 300007;
  for (const uint64_t scratch_bytes : {uint64_t{1} << 10, uint64_t{1} << 20, uint64_t{1} << 30}) {
    index_ = OriginIndex();
    oblocks_.clear();
    index_.Grow(kEntries);
    OriginIndexBuilder builder(index_, kEntries, /*lanes=*/2, scratch_bytes);
    uint64_t flushes = 0;
    for (uint32_t i = 0; i < kEntries; ++i) {
      OriginIndexBuilder::Lane& lane = builder.lane(i % 5 == 0 ? 1 : 0);
      lane.AddAll({{Oblock(uint64_t{i} * 12345)}}, {{Cblock(i)}});
      oblocks_[i] = uint64_t{i} * 12345;
      if (!lane.full()) continue;
      builder.Flush(nullptr);
      ++flushes;
    }
    builder.Flush(nullptr);
    EXPECT_GT(flushes, 0u);
    ExpectAllFound();
    for (uint32_t i = 0; i < kEntries; i += 3) Erase(i);
    for (uint32_t i = 0; i < kEntries; i += 3) ASSERT_EQ(Find(uint64_t{i} * 12345), std::nullopt);
    ExpectAllFound();
  }
}

TEST_F(OriginIndexTest, EmptyIndex) {
  EXPECT_EQ(Find(1), std::nullopt);
  index_.Grow(0);
  EXPECT_EQ(Find(1), std::nullopt);
}

}  // namespace
}  // namespace dmcached
