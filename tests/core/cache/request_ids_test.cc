#include "core/cache/request_ids.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace dmcached {
namespace {

const std::vector<uint32_t> kCblocks = {1, 2, 3};
const std::vector<uint64_t> kOblocks = {10, 20, 30};

MutationResult At(uint64_t transaction) {
  return {.incarnation = 1, .revision = transaction, .transaction = transaction};
}

TEST(RequestIdsTest, RemembersTheFirstAnswer) {
  RequestIds ids;
  EXPECT_EQ(ids.Find("a"), nullptr);
  ids.Remember("a", {1, 2}, At(5), 0, Duration{0});
  ASSERT_NE(ids.Find("a"), nullptr);
  EXPECT_EQ(ids.Find("a")->result.transaction, 5u);
  EXPECT_FALSE(ids.Find("a")->parked);
  EXPECT_EQ(ids.Find("a")->fingerprint, (Fingerprint{1, 2}));
}

TEST(RequestIdsTest, AParkedIdIsForgottenOrRemembered) {
  RequestIds ids;
  ids.Park("a", {1, 2}, Duration{0});
  ids.Park("b", {1, 2}, Duration{0});
  EXPECT_TRUE(ids.Find("a")->parked);
  ids.Remember("a", {1, 2}, At(5), 0, Duration{0});
  ids.Forget("b");
  EXPECT_FALSE(ids.Find("a")->parked);
  EXPECT_EQ(ids.Find("b"), nullptr);
  ids.Forget("a");
  EXPECT_EQ(ids.bytes(), 0u);
}

TEST(RequestIdsTest, AFailureForgetsWhatIsNotDurable) {
  RequestIds ids;
  ids.Remember("durable", {}, At(5), 0, Duration{0});
  ids.Remember("lost", {}, At(6), 0, Duration{0});
  ids.Park("parked", {}, Duration{0});
  ids.Lose(5);
  ASSERT_NE(ids.Find("durable"), nullptr);
  // Transactions count anew afterwards; this one needs no waiting.
  EXPECT_EQ(ids.Find("durable")->result.transaction, 0u);
  EXPECT_EQ(ids.Find("lost"), nullptr);
  EXPECT_EQ(ids.Find("parked"), nullptr);
}

TEST(RequestIdsTest, Keeps4096IdsHoweverOldAndAllIdsForFiveMinutes) {
  RequestIds ids;
  for (int i = 0; i < 5000; ++i) ids.Remember(absl::StrCat("id", i), {}, At(1), 0, Duration{0});
  ids.Trim(kRememberedTime);
  EXPECT_EQ(ids.size(), 5000u);
  ids.Trim(kRememberedTime + Duration{1});
  EXPECT_EQ(ids.size(), kRememberedIds);
  EXPECT_EQ(ids.Find("id903"), nullptr);
  EXPECT_NE(ids.Find("id904"), nullptr);
}

TEST(RequestIdsTest, StaysWithin64MiB) {
  RequestIds ids;
  for (int i = 0; i < 300000; ++i) {
    ids.Remember(absl::StrCat(std::string(120, 'x'), i), {}, At(1), 0, Duration{0});
    ASSERT_LE(ids.bytes(), kRememberedBytes);
  }
  EXPECT_GT(ids.size(), kRememberedIds);
}

TEST(FingerprintTest, TellsEveryFieldApart) {
  const bool dirty[] = {true, false, true};
  const bool clean[] = {false, false, true};
  const std::vector<Mutation> mutations = {
      InsertMappings{.cblocks = kCblocks, .oblocks = kOblocks},
      InsertMappings{.cblocks = kCblocks, .oblocks = kOblocks, .dirty = dirty},
      InsertMappings{.cblocks = kCblocks, .oblocks = kOblocks, .dirty = clean},
      InsertMappings{.cblocks = kCblocks, .oblocks = kOblocks, .reservation = 0},
      InsertMappings{.cblocks = kCblocks, .oblocks = kOblocks, .reservation = 9},
      RemoveMappings{.cblocks = kCblocks, .oblocks = kOblocks},
      RemoveMappings{.cblocks = kCblocks, .oblocks = kOblocks, .discard_dirty = true},
      RemoveMappings{.oblock_range = OblockRange{Oblock(1), Oblock(2)}},
      RemoveMappings{.oblock_range = OblockRange{Oblock(1), Oblock(3)}},
      MarkDirty{.cblocks = kCblocks},
      ClearDirty{.cblocks = kCblocks, .oblocks = kOblocks},
      SetStats{.stats = {.read_hits = 1}},
      SetStats{.stats = {.read_misses = 1}},
      BeginHints{.policy_name = "smq"},
      BeginHints{.policy_name = "smq", .hint_size_bytes = 0},
      Resize{.cache_blocks = 5},
      Resize{.origin_size = Sectors(5)},
  };
  for (size_t a = 0; a < mutations.size(); ++a) {
    for (size_t b = 0; b < mutations.size(); ++b) {
      EXPECT_EQ(FingerprintOf(mutations[a]) == FingerprintOf(mutations[b]), a == b) << a << " " << b;
    }
  }
}

TEST(FingerprintTest, DependsOnContentNotOnAddress) {
  const std::vector<uint32_t> copy = kCblocks;
  EXPECT_EQ(FingerprintOf(MarkDirty{.cblocks = kCblocks}), FingerprintOf(MarkDirty{.cblocks = copy}));
}

}  // namespace
}  // namespace dmcached
