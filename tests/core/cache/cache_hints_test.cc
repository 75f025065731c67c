// FORMAT.md 8.9 and 8.13: begin_hints, save_hints, and for whom hints count.
#include <gtest/gtest.h>

#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

using Hints = std::map<uint32_t, uint32_t>;

class HintsTest : public VersionTest {
 protected:
  HintsTest() {
    EXPECT_THAT(cache_.Format(version(), 2500, 10000), IsOk());
    EXPECT_THAT(cache_.Insert({0, 1017, 1018, 2499}, {1, 2, 3, 4}), IsOk());
    EXPECT_THAT(cache_.Commit(), IsOk());
  }
  ~HintsTest() override { ExpectSound(cache_); }
  void Reopen() {
    ASSERT_THAT(cache_.Commit(), IsOk());
    ASSERT_THAT(cache_.Open(), IsOk());
  }

  TestCache cache_;
};

class BeginHintsTest : public HintsTest {};
DMCACHED_BOTH_VERSIONS(BeginHintsTest);

TEST_P(BeginHintsTest, CreatesAnArrayOfZerosForThePolicy) {
  EXPECT_FALSE(cache_->hints_valid());
  ASSERT_THAT(cache_.BeginHints("smq", {2, 1, 3}), IsOk());
  EXPECT_TRUE(cache_->hints_valid());
  Reopen();
  EXPECT_EQ(cache_->superblock().policy_name, "smq");
  EXPECT_EQ(cache_->superblock().policy_version, (std::array<uint32_t, 3>{2, 1, 3}));
  EXPECT_EQ(cache_->superblock().policy_hint_size, 4u);
  EXPECT_EQ(cache_->store().array(ArrayKind::kHints).entries(), 2500u);
  EXPECT_EQ(cache_.LoadHints(), (Hints{{0, 0}, {1017, 0}, {1018, 0}, {2499, 0}}));
}

TEST_P(BeginHintsTest, SamePolicyKeepsTheHints) {
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.SaveHints({0}, {7}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  EXPECT_FALSE(cache_->changed());
  EXPECT_EQ(cache_.LoadHints().at(0), 7u);
}

TEST_P(BeginHintsTest, AnotherNameOrVersionBeginsAgain) {
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.SaveHints({0}, {7}), IsOk());
  ASSERT_THAT(cache_.BeginHints("mq"), IsOk());
  EXPECT_EQ(cache_.LoadHints().at(0), 0u);
  ASSERT_THAT(cache_.SaveHints({0}, {8}), IsOk());
  ASSERT_THAT(cache_.BeginHints("mq", {2, 0, 1}), IsOk());
  EXPECT_EQ(cache_.LoadHints().at(0), 0u);
  ASSERT_THAT(cache_.Commit(), IsOk());
}

TEST_P(BeginHintsTest, PolicyWithoutHintsDropsTheArray) {
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.BeginHints("cleaner", {1, 0, 0}, 0), IsOk());
  EXPECT_FALSE(cache_->hints_valid());
  Reopen();
  EXPECT_EQ(cache_->superblock().policy_name, "cleaner");
  EXPECT_EQ(cache_->superblock().hint_root.value(), 0u);
}

TEST_P(BeginHintsTest, BadPolicies) {
  for (const char* name : {"", "sixteen-letters!", "a b", "a<b", "a&b", "a\"b", "\x01"}) {
    EXPECT_THAT(cache_.BeginHints(name), HasReasonIs(Reason::kPolicyInvalid)) << name;
  }
  for (const uint32_t size : {1u, 8u}) {
    EXPECT_THAT(cache_.BeginHints("smq", {}, size), HasReasonIs(Reason::kPolicyInvalid));
  }
  EXPECT_THAT(cache_.BeginHints("fifteen-letters"), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
}

TEST_P(BeginHintsTest, CacheOfNoBlocksRemembersThePolicyAndGetsItsHintsWhenItGrows) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 0), IsOk());
  ASSERT_THAT(cache.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache.OnMedium().hint_root.value(), 0u);
  EXPECT_EQ(cache.OnMedium().policy_name, "smq");
  ASSERT_THAT(cache.Resize(100), IsOk());
  EXPECT_TRUE(cache->hints_valid());
  ASSERT_THAT(cache.SaveHints({99}, {1}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

class SaveHintsTest : public HintsTest {};
DMCACHED_BOTH_VERSIONS(SaveHintsTest);

TEST_P(SaveHintsTest, AreThereAfterAReopenForMappedBlocks) {
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.SaveHints({0, 1017, 1018, 2499, 3}, {10, 0xFFFFFFFF, 30, 40, 50}), IsOk());
  const Hints expected = {{0, 10}, {1017, 0xFFFFFFFF}, {1018, 30}, {2499, 40}};
  EXPECT_EQ(cache_.LoadHints(), expected);
  Reopen();
  EXPECT_EQ(cache_.LoadHints(), expected);
  const auto found = cache_.LookupCblocks({1018});
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->front().hint, 30u);
}

TEST_P(SaveHintsTest, WithoutAHintArray) {
  EXPECT_THAT(cache_.SaveHints({0}, {1}), HasReasonIs(Reason::kNoHints));
  EXPECT_FALSE(cache_->changed());
}

TEST_P(SaveHintsTest, BadItemRefusesTheRequestWhole) {
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  const absl::Status beyond = cache_.SaveHints({0, 2500}, {1, 2});
  EXPECT_THAT(beyond, HasReasonIs(Reason::kCblockOutOfRange));
  EXPECT_EQ(ItemOf(beyond), 1u);
  EXPECT_THAT(cache_.SaveHints({0}, {1, 2}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_EQ(cache_.LoadHints().at(0), 0u);
  EXPECT_FALSE(cache_->changed());
}

class LoadHintsTest : public HintsTest {};
DMCACHED_BOTH_VERSIONS(LoadHintsTest);

TEST_P(LoadHintsTest, CountOnlyForTheSameNameMajorVersionAndSize) {
  ASSERT_THAT(cache_.BeginHints("smq", {2, 3, 4}), IsOk());
  ASSERT_THAT(cache_.SaveHints({0}, {7}), IsOk());
  EXPECT_EQ(cache_.LoadHints(HintPolicy{"smq", {2, 3, 4}}).at(0), 7u);
  EXPECT_EQ(cache_.LoadHints(HintPolicy{"smq", {2, 9, 9}}).at(0), 7u) << "only the major version counts";
  EXPECT_TRUE(cache_.LoadHints(HintPolicy{"smq", {3, 3, 4}}).empty());
  EXPECT_TRUE(cache_.LoadHints(HintPolicy{"mq", {2, 3, 4}}).empty());
  EXPECT_TRUE(cache_.LoadHints(HintPolicy{"smq", {2, 3, 4}}, 0).empty());
  ASSERT_THAT(cache_.Commit(), IsOk());
}

TEST_P(LoadHintsTest, FollowEveryResize) {
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.SaveHints({0, 1017, 1018, 2499}, {1, 2, 3, 4}), IsOk());
  ASSERT_THAT(cache_.Resize(1018), IsOk());
  EXPECT_EQ(cache_.LoadHints(), (Hints{{0, 1}, {1017, 2}}));
  Reopen();
  ASSERT_THAT(cache_.Resize(3000), IsOk());
  ASSERT_THAT(cache_.Insert({1018, 2499}, {30, 40}), IsOk());
  EXPECT_EQ(cache_.LoadHints(), (Hints{{0, 1}, {1017, 2}, {1018, 0}, {2499, 0}})) << "no old hint came back";
  Reopen();
  EXPECT_EQ(cache_->store().array(ArrayKind::kHints).entries(), 3000u);
}

}  // namespace
}  // namespace dmcached
