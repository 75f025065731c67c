// FORMAT.md 8.7, 8.9: insert_mapping, remove_mapping, look-ups and the walk over every entry.
#include <gtest/gtest.h>

#include <cerrno>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/core/cache/cache_fixture.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

// A refused request changes nothing, in memory or for the next commit.
#define EXPECT_REFUSED(cache, expression, reason, item)    \
  do {                                                     \
    const Mappings before = (cache).Load();                \
    const uint64_t free = (cache)->free_metadata_blocks(); \
    const bool changed = (cache)->changed();               \
    const absl::Status refused = StatusOf(expression);     \
    EXPECT_THAT(refused, HasReasonIs(reason));             \
    EXPECT_EQ(ItemOf(refused), (item));                    \
    EXPECT_EQ((cache).Load(), before);                     \
    EXPECT_EQ((cache)->free_metadata_blocks(), free);      \
    EXPECT_EQ((cache)->changed(), changed);                \
    EXPECT_EQ((cache)->mapped_blocks(), before.size());    \
  } while (false)

constexpr std::optional<uint64_t> kNoItem;
std::optional<uint64_t> Item(uint64_t item) { return item; }

class InsertMappingTest : public VersionTest {
 protected:
  InsertMappingTest() {
    EXPECT_THAT(cache_.Format(version(), 1200, 5000), IsOk());
    EXPECT_THAT(cache_.Insert({5, 600}, {50, 60}, {false, true}), IsOk());
    EXPECT_THAT(cache_.Commit(), IsOk());
  }
  ~InsertMappingTest() override { ExpectSound(cache_); }

  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(InsertMappingTest);

TEST_P(InsertMappingTest, IsThereAtOnceAndOnTheMediumWhenCommitted) {
  ASSERT_THAT(cache_.Insert({0, 1199}, {0, 4999}, {true, false}), IsOk());
  const Mappings expected = {{0, {0, true}}, {5, {50, false}}, {600, {60, true}}, {1199, {4999, false}}};
  EXPECT_EQ(cache_.Load(), expected);
  EXPECT_EQ(cache_->mapped_blocks(), 4u);
  EXPECT_EQ(cache_->dirty_blocks(), 2u);
  EXPECT_EQ(cache_->free_cblocks(), 1196u);
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_.Load(), expected);
}

TEST_P(InsertMappingTest, EveryReasonWithTheIndexOfTheBadItem) {
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2, 1200}, {1, 2, 3}), Reason::kCblockOutOfRange, Item(2));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2}, {1, 5000}), Reason::kOblockOutOfRange, Item(1));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 600}, {1, 2}), Reason::kCblockInUse, Item(1));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2}, {1, 60}), Reason::kOblockAlreadyMapped, Item(1));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2, 1}, {1, 2, 3}), Reason::kInvalidRequest, Item(2));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2, 3}, {9, 8, 9}), Reason::kInvalidRequest, Item(2));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2}, {1}), Reason::kInvalidRequest, kNoItem);
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2}, {1, 2}, {true}), Reason::kInvalidRequest, kNoItem);
  const std::vector<uint32_t> many(kMaxItemsPerRequest + 1);
  EXPECT_REFUSED(cache_, cache_.Insert(many, std::vector<uint64_t>(many.size())), Reason::kTooManyItems, kNoItem);
}

TEST_P(InsertMappingTest, FarIntoARequestTheBadItemIsFoundAndNothingStaysClaimed) {
  std::vector<uint32_t> cblocks(500);
  std::vector<uint64_t> oblocks(500);
  std::iota(cblocks.begin(), cblocks.end(), 10);
  std::iota(oblocks.begin(), oblocks.end(), 1000);
  for (const size_t bad : {31u, 32u, 33u, 477u, 499u}) {
    const uint64_t good = std::exchange(oblocks[bad], 60);
    EXPECT_REFUSED(cache_, cache_.Insert(cblocks, oblocks), Reason::kOblockAlreadyMapped, Item(bad));
    oblocks[bad] = good;
  }
  EXPECT_THAT(cache_.Insert(cblocks, oblocks), IsOk());
}

TEST_P(InsertMappingTest, AnOblockThatIsTwiceInTheRequestIsToldOfFirst) {
  EXPECT_REFUSED(cache_, cache_.Insert({1200, 2, 3}, {1, 7, 7}), Reason::kInvalidRequest, Item(2));
  EXPECT_REFUSED(cache_, cache_.Insert({1, 2, 1, 4}, {60, 7, 8, 7}), Reason::kInvalidRequest, Item(3));
}

TEST_P(InsertMappingTest, UnknownOriginBoundsOblocksAt48Bits) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 10), IsOk());
  EXPECT_THAT(cache.Insert({0}, {kMaxOblocks}), HasReasonIs(Reason::kOblockOutOfRange));
  ASSERT_THAT(cache.Insert({0}, {kMaxOblocks - 1}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache.Load(), (Mappings{{0, {kMaxOblocks - 1, false}}}));
}

TEST_P(InsertMappingTest, NoItemsChangeNothing) {
  EXPECT_THAT(cache_.Insert({}, {}), IsOk());
  EXPECT_FALSE(cache_->changed());
}

TEST_P(InsertMappingTest, CblockIsReusedOnlyWhenItsRemovalIsDurable) {
  ASSERT_THAT(cache_.Remove({5}, {50}), IsOk());
  EXPECT_FALSE(cache_->IsFree(Cblock(5)));
  EXPECT_REFUSED(cache_, cache_.Insert({5}, {51}), Reason::kCblockInUse, Item(0));
  auto batch = cache_->Prepare(false);
  ASSERT_THAT(batch, IsOk());
  EXPECT_REFUSED(cache_, cache_.Insert({5}, {51}), Reason::kCblockInUse, Item(0));
  EXPECT_THAT(cache_.Insert({6}, {50}), IsOk()) << "the oblock may be mapped elsewhere at once";
  const std::atomic<bool> stop = false;
  ASSERT_THAT((*batch)->Write(cache_.device(), stop), IsOk());
  cache_->Finish(*std::move(batch));
  EXPECT_THAT(cache_.Insert({5}, {51}), IsOk());
  EXPECT_THAT(cache_.Commit(), IsOk());
}

TEST_P(InsertMappingTest, WithoutSpaceNothingIsChanged) {
  TestCache cache(40);
  ASSERT_THAT(cache.Format(version(), 5090), IsOk());  // Ten mapping blocks.
  uint32_t cblock = 0;
  absl::Status status;
  while ((status = cache.Insert({cblock}, {cblock})).ok()) {
    cblock += 509;
    if (cblock < 5090) continue;
    cblock = cblock % 509 + 1;
    ASSERT_THAT(cache->Prepare(false), IsOk()) << "held back for it";  // In flight for ever: nothing comes free.
  }
  EXPECT_REFUSED(cache, cache.Insert({cblock}, {cblock}), Reason::kMetadataNoSpace, kNoItem);
}

class RemoveMappingTest : public InsertMappingTest {};
DMCACHED_BOTH_VERSIONS(RemoveMappingTest);

TEST_P(RemoveMappingTest, IsGoneAtOnceAndOnTheMediumWhenCommitted) {
  EXPECT_EQ(*cache_.Remove({5}, {50}), 1u);
  EXPECT_EQ(cache_.Load(), (Mappings{{600, {60, true}}}));
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_.Load(), (Mappings{{600, {60, true}}}));
  EXPECT_TRUE(cache_->IsFree(Cblock(5)));
}

TEST_P(RemoveMappingTest, DirtyOneOnlyWhenTheCallerSaysSo) {
  EXPECT_REFUSED(cache_, cache_.Remove({5, 600}, {50, 60}), Reason::kMappingDirty, Item(1));
  EXPECT_EQ(*cache_.Remove({5, 600}, {50, 60}, /*discard_dirty=*/true), 2u);
  EXPECT_EQ(cache_->dirty_blocks(), 0u);
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Insert({600}, {61}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_.Load(), (Mappings{{600, {61, false}}})) << "the dirty bit went with the mapping";
}

TEST_P(RemoveMappingTest, EveryReasonWithTheIndexOfTheBadItem) {
  EXPECT_REFUSED(cache_, cache_.Remove({5, 1200}, {50, 1}), Reason::kCblockOutOfRange, Item(1));
  EXPECT_REFUSED(cache_, cache_.Remove({5, 600}, {50, 5000}), Reason::kOblockOutOfRange, Item(1));
  EXPECT_REFUSED(cache_, cache_.Remove({5, 6}, {50, 60}), Reason::kNotMapped, Item(1));
  EXPECT_REFUSED(cache_, cache_.Remove({5, 600}, {50, 61}), Reason::kNotMapped, Item(1));
  EXPECT_REFUSED(cache_, cache_.Remove({5, 5}, {50, 50}), Reason::kInvalidRequest, Item(1));
  EXPECT_REFUSED(cache_, cache_.Remove({5}, {}), Reason::kInvalidRequest, kNoItem);
}

TEST_P(RemoveMappingTest, AWrongPairIsToldOfFirst) {
  const auto twice_and_wrong = [&] { return cache_.Remove({5, 5, 600, 6}, {50, 50, 60, 61}); };
  EXPECT_REFUSED(cache_, twice_and_wrong(), Reason::kNotMapped, Item(3));
}

TEST_P(RemoveMappingTest, ByRangeOfOblocks) {
  ASSERT_THAT(cache_.Insert({10, 11, 12}, {100, 101, 102}), IsOk());
  EXPECT_EQ(*cache_.RemoveRange(101, 4000), 2u);
  EXPECT_EQ(*cache_.RemoveRange(101, 4000), 0u);
  EXPECT_EQ(*cache_.RemoveRange(100, 101), 1u) << "a short range goes by the index";
  EXPECT_EQ(*cache_.RemoveRange(0, 50), 0u) << "the end is not in it";
  EXPECT_REFUSED(cache_, cache_.RemoveRange(0, ~uint64_t{0}), Reason::kMappingDirty, Item(1));
  EXPECT_REFUSED(cache_, cache_.RemoveRange(9, 8), Reason::kInvalidRequest, kNoItem);
  EXPECT_EQ(*cache_.RemoveRange(0, ~uint64_t{0}, true), 2u);
  ASSERT_THAT(cache_.Commit(), IsOk());
}

class WalkTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(WalkTest);

TEST_P(WalkTest, EveryEntryInOrderUntilTheVisitorStops) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1500), IsOk());
  ASSERT_THAT(cache.Insert({1499, 0, 508, 509}, {1, 2, 3, 4}), IsOk());
  std::vector<uint32_t> seen;
  auto visit = [&](const LoadedMapping& m) {
    seen.push_back(m.cblock.value());
    return seen.size() == 3 ? MakeError(Reason::kLost, "enough") : absl::OkStatus();
  };
  EXPECT_THAT(cache->LoadMappings(std::nullopt, 0, visit), HasReasonIs(Reason::kLost));
  EXPECT_THAT(seen, testing::ElementsAre(0, 508, 509));
}

TEST_P(WalkTest, LookUpsAnswerInTheOrderAsked) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 1500, 4000), IsOk());
  ASSERT_THAT(cache.Insert({700, 3}, {30, 31}, {true, false}), IsOk());
  const auto by_cblock = cache.LookupCblocks({3, 4, 700, 3});
  ASSERT_THAT(by_cblock, IsOk());
  ASSERT_EQ(by_cblock->size(), 4u);
  EXPECT_EQ((*by_cblock)[0].oblock, Oblock(31));
  EXPECT_FALSE((*by_cblock)[1].mapped);
  EXPECT_EQ((*by_cblock)[1].cblock, Cblock(4));
  EXPECT_TRUE((*by_cblock)[2].dirty);
  const auto by_oblock = cache.LookupOblocks({32, 31, 30});
  ASSERT_THAT(by_oblock, IsOk());
  EXPECT_FALSE((*by_oblock)[0].mapped);
  EXPECT_EQ((*by_oblock)[0].oblock, Oblock(32));
  EXPECT_EQ((*by_oblock)[1].cblock, Cblock(3));
  EXPECT_EQ((*by_oblock)[2].cblock, Cblock(700));
  EXPECT_EQ(ItemOf(cache.LookupCblocks({0, 1500}).status()), 1u);
  EXPECT_THAT(cache.LookupCblocks({1500}), HasReasonIs(Reason::kCblockOutOfRange));
  EXPECT_THAT(cache.LookupOblocks({4000}), HasReasonIs(Reason::kOblockOutOfRange));
}

TEST_P(WalkTest, LookUpsFindEverythingAmongManyAfterChurn) {
  TestCache cache(512);
  ASSERT_THAT(cache.Format(version(), 4000), IsOk());
  Random random;
  Mappings expected;
  for (int round = 0; round < 300; ++round) {
    std::vector<uint32_t> cblocks;
    std::vector<uint64_t> oblocks;
    cache->VisitFree([&](Cblock cblock) {
      cblocks.push_back(cblock.value());
      return cblocks.size() < 50;
    });
    for (const uint32_t cblock : cblocks) {
      oblocks.push_back(uint64_t{cblock} * 1000 + static_cast<uint64_t>(round));
      expected[cblock] = {oblocks.back(), false};
    }
    ASSERT_THAT(cache.Insert(cblocks, oblocks), IsOk());
    if (expected.size() > 2000) {
      cblocks.clear();
      oblocks.clear();
      for (const auto& [cblock, mapped] : expected) {
        if (random.OneIn(2)) continue;
        cblocks.push_back(cblock);
        oblocks.push_back(mapped.oblock);
      }
      ASSERT_THAT(cache.Remove(cblocks, oblocks), IsOk());
      for (const uint32_t cblock : cblocks) expected.erase(cblock);
    }
    if (random.OneIn(4)) {
      ASSERT_THAT(cache.Commit(), IsOk());
    }
  }
  for (const auto& [cblock, mapped] : expected) {
    const auto found = cache.LookupOblocks({mapped.oblock, mapped.oblock + 1000000000});
    ASSERT_THAT(found, IsOk());
    ASSERT_TRUE((*found)[0].mapped && (*found)[0].cblock == Cblock(cblock)) << cblock;
    ASSERT_FALSE((*found)[1].mapped);
  }
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache.Load(), expected);
  ExpectSound(cache);
}

}  // namespace
}  // namespace dmcached
