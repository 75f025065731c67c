// Repeats of a request that did happen, under the same id: they hear so, whatever has become of the cache since.
#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

class EngineRepeatsTest : public EngineTest {
 protected:
  void FailNextWrite() { bank_.at("/meta").SetFaults({.fail_write = bank_.at("/meta").writes()}); }
  absl::StatusOr<OpenResult> Recover() {
    return Open([](OpenOptions& o) {
      o.metadata_path = "";
      o.recover = true;
    });
  }
};

// MODEL.md finding 7: a mark on a mapping that a power cut takes away is worth nothing, also the second time.
TEST_F(EngineRepeatsTest, ARepeatedLazyMarkWaitsForItsMapping) {
  ASSERT_THAT(Create(100, DirtyTracking::kConservative), IsOk());
  ASSERT_THAT(Do(Insert({1}, {11})), IsOk());
  ASSERT_THAT(Commit(), IsOk());
  const MutationOutcome inserted = Send(Insert({2}, {12}));
  const MutationOutcome streamed = Send(Mark({2}), {.request_id = "m", .answer_when_applied = true});
  RunUntil([&] { return inserted.ready() && streamed.ready(); });
  const MutationOutcome repeat = Send(Mark({2}), {.request_id = "m"});
  RunIntoCommit();
  EXPECT_FALSE(repeat.ready());
  Run();
  ASSERT_THAT(repeat.get(), IsOk());
  EXPECT_GE(repeat.get()->durable_transaction, inserted.get()->transaction);
}

TEST_F(EngineRepeatsTest, WhatHappenedBeforeDamageWasMetIsAnsweredAsDone) {
  ASSERT_THAT(Create(10 * 509), IsOk());
  ASSERT_THAT(Do(Insert({0, 1000}, {0, 1})), IsOk());
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  const auto first = Do(Insert({3}, {3}), {.request_id = "a"});
  ASSERT_THAT(first, IsOk());
  // Every block that is not in memory goes bad.
  const std::vector<std::byte> image = bank_.at("/meta").Image();
  AlignedBuffer bad(image.size() - 4096);
  std::copy(image.begin() + 4096, image.end(), bad.data());
  for (size_t block = 0; block < bad.span().size() / 4096; ++block) bad.data()[block * 4096 + 100] ^= std::byte{1};
  ASSERT_THAT(bank_.at("/meta").Write(4096, bad.span()), IsOk());
  EXPECT_THAT(Lookup({1000}), HasReasonIs(Reason::kMetadataCorrupt));
  ASSERT_EQ(Info().state, CacheState::kNeedsCheck);
  const auto repeat = Do(Insert({3}, {3}), {.request_id = "a"});
  ASSERT_THAT(repeat, IsOk());
  EXPECT_EQ(repeat->revision, first->revision);
  EXPECT_THAT(Do(Insert({4}, {4}), {.request_id = "b"}), HasReasonIs(Reason::kNeedsCheck));
}

TEST_F(EngineRepeatsTest, ARepeatOfAResizeUnderWayJoinsIt) {
  ASSERT_THAT(Create(100), IsOk());
  const MutationOutcome first = Send(Resize{.cache_blocks = 200}, {.request_id = "r"});
  const MutationOutcome repeat = Send(Resize{.cache_blocks = 200}, {.request_id = "r"});
  const MutationOutcome other = Send(Resize{.cache_blocks = 300}, {.request_id = "s"});
  Run();
  ASSERT_THAT(first.get(), IsOk());
  ASSERT_THAT(repeat.get(), IsOk());
  EXPECT_EQ(repeat.get()->revision, first.get()->revision);
  EXPECT_THAT(other.get(), HasReasonIs(Reason::kOperationPending));
  EXPECT_EQ(Info().superblock.cache_blocks, 200u);
  EXPECT_THAT(Do(Resize{.cache_blocks = 300}, {.request_id = "s"}), IsOk());
}

TEST_F(EngineRepeatsTest, AfterARecoveryTheAnswerNamesTheIncarnationOfNow) {
  ASSERT_THAT(Create(100), IsOk());
  const auto first = Do(Insert({1}, {1}, /*dirty=*/true), {.request_id = "a"});
  ASSERT_THAT(first, IsOk());
  FailNextWrite();
  ASSERT_FALSE(Do(Insert({2}, {2}, /*dirty=*/true)).ok());
  ASSERT_THAT(Recover(), IsOk());
  const auto repeat = Do(Insert({1}, {1}, /*dirty=*/true), {.request_id = "a"});
  ASSERT_THAT(repeat, IsOk());
  EXPECT_NE(repeat->incarnation, first->incarnation);
  EXPECT_EQ(repeat->incarnation, Info().incarnation);
  EXPECT_LE(repeat->transaction, repeat->durable_transaction);
}

}  // namespace
}  // namespace dmcached
