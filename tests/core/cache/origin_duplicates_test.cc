#include "core/cache/origin_duplicates.h"

#include <gtest/gtest.h>

#include <vector>

namespace dmcached {
namespace {

std::optional<Oblock> FindDuplicate(OriginDuplicates& duplicates, const std::vector<uint64_t>& oblocks) {
  for (uint64_t pass = 0; pass < duplicates.passes(); ++pass) {
    for (const uint64_t oblock : oblocks) duplicates.Add(Oblock(oblock));
    duplicates.EndPass();
  }
  return duplicates.duplicate();
}

TEST(OriginDuplicatesTest, ByBitmapWhereTheOriginIsSmall) {
  OriginDuplicates none(1000, 4);
  EXPECT_EQ(none.passes(), 1u);
  EXPECT_EQ(FindDuplicate(none, {0, 999, 64, 63}), std::nullopt);
  OriginDuplicates twice(1000, 4);
  EXPECT_EQ(FindDuplicate(twice, {0, 999, 64, 999}), Oblock(999));
}

TEST(OriginDuplicatesTest, ByPassesWhereItIsLarge) {
  constexpr uint64_t kLarge = uint64_t{1} << 48;
  std::vector<uint64_t> oblocks;
  for (uint64_t i = 0; i < 1000; ++i) oblocks.push_back(kLarge - 1 - i * 977);
  OriginDuplicates none(kLarge, oblocks.size(), /*budget_bytes=*/800);
  EXPECT_EQ(none.passes(), 20u) << "half the budget, because shares differ";
  EXPECT_EQ(FindDuplicate(none, oblocks), std::nullopt);
  for (const size_t victim : {0u, 499u, 999u}) {
    std::vector<uint64_t> with = oblocks;
    with.push_back(with[victim]);
    OriginDuplicates twice(kLarge, with.size(), 800);
    EXPECT_EQ(FindDuplicate(twice, with), Oblock(oblocks[victim]));
  }
}

TEST(OriginDuplicatesTest, AClaimedOriginTakesNoMemoryOutOfProportionToTheMappings) {
  for (uint64_t oblock_end = 1; oblock_end <= uint64_t{1} << 48; oblock_end *= 2) {
    EXPECT_LE(OriginDuplicates(oblock_end, 100).memory_bytes(), 100u * 32) << oblock_end;
  }
  EXPECT_LE(OriginDuplicates(uint64_t{1} << 48, uint64_t{1} << 32).memory_bytes(), 64u << 20);
}

TEST(OriginDuplicatesTest, SharersFindWhatNeitherSeesAlone) {
  for (const uint64_t oblock_end : {uint64_t{1000}, uint64_t{1} << 48}) {
    for (const bool duplicate : {false, true}) {
      OriginDuplicates one(oblock_end, 4, 1000, /*sharers=*/2);
      OriginDuplicates other(oblock_end, 4, 1000, /*sharers=*/2);
      ASSERT_EQ(one.passes(), 1u);
      for (const uint64_t oblock : {5, 999}) one.Add(Oblock(oblock));
      for (const uint64_t oblock : {6, duplicate ? 999 : 998}) other.Add(Oblock(oblock));
      one.Merge(other);
      one.EndPass();
      EXPECT_EQ(one.duplicate(), duplicate ? std::optional(Oblock(999)) : std::nullopt) << oblock_end;
    }
  }
}

TEST(OriginDuplicatesTest, BothWaysForOblocksBeyondTheKnownEnd) {
  OriginDuplicates twice(100, 4);
  EXPECT_EQ(FindDuplicate(twice, {5, 1000000, 7, 1000000}), Oblock(1000000));
}

}  // namespace
}  // namespace dmcached
