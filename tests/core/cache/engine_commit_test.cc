// The commit pipeline: who shares a commit, who starts one, and who waits for space.
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

class EngineCommitTest : public EngineTest {
 protected:
  // A inserts; B inserts while that is written, which takes a millisecond.
  std::pair<MutationOutcome, MutationOutcome> InsertBesideACommit() {
    const MutationOutcome a = Send(Insert({0}, {0}, /*dirty=*/true));
    RunIntoCommit();
    const MutationOutcome b = Send(Insert({1}, {1}, /*dirty=*/true));
    clock_.Advance(std::chrono::milliseconds(1));
    return {a, b};
  }
};

TEST_F(EngineCommitTest, EverythingQueuedSharesOneCommit) {
  ASSERT_THAT(Create(1000), IsOk());
  const uint64_t commits = Commits();
  const uint64_t flushes = bank_.at("/meta").flushes();
  std::vector<MutationOutcome> outcomes;
  for (uint32_t i = 0; i < 20; ++i) outcomes.push_back(Send(Insert({i}, {i}, /*dirty=*/true)));
  Run();
  for (const MutationOutcome& outcome : outcomes) {
    ASSERT_THAT(outcome.get(), IsOk());
    EXPECT_EQ(outcome.get()->durable_transaction, outcomes[0].get()->transaction);
  }
  EXPECT_EQ(Commits(), commits + 1);
  EXPECT_EQ(bank_.at("/meta").flushes(), flushes + 2);
}

TEST_F(EngineCommitTest, WhoAsksWhileOneIsInFlightSharesTheNext) {
  ASSERT_THAT(Create(1000), IsOk());
  const MutationOutcome first = Send(Insert({0}, {0}, /*dirty=*/true));
  RunIntoCommit();
  const uint64_t commits = Commits();
  std::vector<MutationOutcome> outcomes;
  for (uint32_t i = 1; i < 10; ++i) outcomes.push_back(Send(Insert({i}, {i}, /*dirty=*/true)));
  Run();
  for (const MutationOutcome& outcome : outcomes) {
    ASSERT_THAT(outcome.get(), IsOk());
    EXPECT_EQ(outcome.get()->transaction, first.get()->transaction + 1);
  }
  EXPECT_EQ(Commits(), commits + 1);
}

// When A's insert is durable, A comes back with the next one.
TEST_F(EngineCommitTest, CallersThatComeBackAreWaitedForAMoment) {
  ASSERT_THAT(Create(1000), IsOk());
  const auto [a, b] = InsertBesideACommit();
  RunUntil([&first = a] { return first.ready(); });
  const uint64_t commits = Commits();
  const MutationOutcome a_again = Send(Insert({2}, {2}, /*dirty=*/true));
  Run();
  EXPECT_THAT(b.get(), IsOk());
  EXPECT_THAT(a_again.get(), IsOk());
  EXPECT_EQ(Commits(), commits + 1);
}

TEST_F(EngineCommitTest, CallersThatDoNotComeBackHoldUpNobodyForLong) {
  ASSERT_THAT(Create(1000), IsOk());
  const auto [a, b] = InsertBesideACommit();
  Run();  // Idle, then the moment is over.
  EXPECT_THAT(a.get(), IsOk());
  EXPECT_THAT(b.get(), IsOk());
  // The next one alone is not put off.
  const MutationOutcome alone = Send(Insert({2}, {2}, /*dirty=*/true));
  const uint64_t commits = Commits();
  Run();
  EXPECT_THAT(alone.get(), IsOk());
  EXPECT_EQ(Commits(), commits + 1);
}

TEST_F(EngineCommitTest, MutationsAndLookUpsGoOnWhileACommitIsWritten) {
  ASSERT_THAT(Create(1000), IsOk());
  const MutationOutcome durable = Send(Insert({0}, {0}, /*dirty=*/true));
  const MutationOutcome applied = Send(Insert({1}, {1}));
  RunUntil([&] { return applied.ready(); });
  EXPECT_FALSE(durable.ready());
  RunIntoCommit();
  Outcome<absl::StatusOr<LookupResult>> found;
  engine().Lookup("c", {.cblocks = Keep<uint32_t>({0, 1})}, found.callback());
  EXPECT_TRUE(found.ready()) << "resident and few: answered inside the call";
  EXPECT_FALSE(durable.ready());
  Run();
  EXPECT_THAT(durable.get(), IsOk());
}

TEST_F(EngineCommitTest, ACommitWithNothingToWriteWritesNothing) {
  ASSERT_THAT(Create(1000), IsOk());
  const uint64_t writes = bank_.at("/meta").writes();
  const auto committed = Commit();
  ASSERT_THAT(committed, IsOk());
  EXPECT_EQ(committed->durable_transaction, committed->transaction);
  EXPECT_THAT(Commit(/*clean=*/true), IsOk());
  EXPECT_EQ(bank_.at("/meta").writes(), writes);
}

TEST_F(EngineCommitTest, ACommitWithAnEmptyOpenTransactionWaitsForTheOneInFlight) {
  ASSERT_THAT(Create(1000), IsOk());
  const MutationOutcome insert = Send(Insert({0}, {0}, /*dirty=*/true));
  RunIntoCommit();
  const uint64_t commits = Commits();
  MutationOutcome commit;
  engine().Commit("c", false, commit.callback());
  executors_.RunOne();
  EXPECT_FALSE(commit.ready());
  Run();
  ASSERT_THAT(commit.get(), IsOk());
  EXPECT_EQ(commit.get()->transaction, insert.get()->transaction);
  EXPECT_EQ(Commits(), commits);
}

TEST_F(EngineCommitTest, StatisticsAloneRewriteOnlyTheSuperblock) {
  ASSERT_THAT(Create(1000), IsOk());
  ASSERT_THAT(Do(SetStats{.stats = {.read_hits = 5}}), IsOk());
  const uint64_t writes = bank_.at("/meta").writes();
  ASSERT_THAT(Commit(), IsOk());
  EXPECT_EQ(bank_.at("/meta").writes(), writes + 1);
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  EXPECT_EQ(engine().GetStats("c")->read_hits, 5u);
}

TEST_F(EngineCommitTest, TicksCommitWhatIsOlderThanTheInterval) {
  ASSERT_THAT(Create(1000), IsOk());
  const uint64_t commits = Commits();
  clock_.Advance(std::chrono::seconds(10));
  engine().Tick();
  Run();
  EXPECT_EQ(Commits(), commits) << "nothing has changed";
  ASSERT_THAT(Do(Insert({0}, {0})), IsOk());
  clock_.Advance(std::chrono::milliseconds(999));
  engine().Tick();
  Run();
  EXPECT_EQ(Commits(), commits);
  clock_.Advance(std::chrono::milliseconds(1));
  engine().Tick();
  Run();
  EXPECT_EQ(Commits(), commits + 1);
  EXPECT_FALSE(Info().uncommitted_changes);
  const auto counters = engine().Metrics()[0].counters;
  EXPECT_EQ(counters->commits[static_cast<size_t>(CommitTrigger::kTimer)].load(), 1u);
}

TEST_F(EngineCommitTest, WhenDurableStartsACommitOnlyIfAskedTo) {
  ASSERT_THAT(Create(1000), IsOk());
  const auto applied = Do(Insert({0}, {0}));
  ASSERT_THAT(applied, IsOk());
  Outcome<absl::StatusOr<uint64_t>> patient;
  Outcome<absl::StatusOr<uint64_t>> eager;
  engine().WhenDurable("c", applied->incarnation, applied->transaction, false, patient.callback());
  Run();
  EXPECT_FALSE(patient.ready());
  engine().WhenDurable("c", applied->incarnation, applied->transaction, true, eager.callback());
  Run();
  ASSERT_THAT(patient.get(), IsOk());
  EXPECT_GE(*patient.get(), applied->transaction);
  EXPECT_THAT(eager.get(), IsOk());
  Outcome<absl::StatusOr<uint64_t>> other;
  engine().WhenDurable("c", applied->incarnation + 1, 0, false, other.callback());
  Run();
  EXPECT_THAT(other.get(), HasReasonIs(Reason::kOutcomeUnknown));
}

// A stream asks for the durability of its last batches while the cache is being closed, or later.
TEST_F(EngineCommitTest, WhenDurableDuringACloseWaitsForIt) {
  ASSERT_THAT(Create(1000), IsOk());
  const auto applied = Do(Insert({0}, {0}));
  ASSERT_THAT(applied, IsOk());
  Outcome<absl::Status> closed;
  engine().Close("c", {}, closed.callback());
  Outcome<absl::StatusOr<uint64_t>> durable;
  engine().WhenDurable("c", applied->incarnation, applied->transaction, true, durable.callback());
  Run();
  ASSERT_THAT(closed.get(), IsOk());
  ASSERT_THAT(durable.get(), IsOk());
  EXPECT_GE(*durable.get(), applied->transaction);
  Outcome<absl::StatusOr<uint64_t>> late;
  engine().WhenDurable("c", applied->incarnation, applied->transaction, true, late.callback());
  Run();
  EXPECT_THAT(late.get(), HasReasonIs(Reason::kOutcomeUnknown));
}

TEST_F(EngineCommitTest, ConservativeCleanCommitSetsTheFlagWithoutOtherChanges) {
  ASSERT_THAT(Create(100, DirtyTracking::kConservative), IsOk());
  ASSERT_THAT(Do(Insert({0}, {0})), IsOk());
  ASSERT_THAT(Commit(), IsOk());
  ASSERT_FALSE(Info().superblock.clean_shutdown);
  ASSERT_THAT(Commit(/*clean=*/true), IsOk());
  EXPECT_TRUE(Info().superblock.clean_shutdown);
}

// The durable state is clean, the commit in flight is not: neither a close nor a clean commit may be content with it.
TEST_F(EngineCommitTest, ACleanCommitBehindAnotherInFlightSetsTheFlag) {
  ASSERT_THAT(Create(100, DirtyTracking::kConservative), IsOk());
  for (const bool close : {false, true}) {
    ASSERT_THAT(Commit(/*clean=*/true), IsOk());
    ASSERT_TRUE(Info().superblock.clean_shutdown);
    const MutationOutcome inserted = Send(Insert({close ? 1u : 0u}, {close ? 1u : 0u}, /*dirty=*/true));
    RunIntoCommit();
    Outcome<absl::StatusOr<MutationResult>> committed;
    Outcome<absl::Status> closed;
    if (close) {
      engine().Close("c", {}, closed.callback());
    } else {
      engine().Commit("c", /*clean_shutdown=*/true, committed.callback());
    }
    Run();
    EXPECT_THAT(inserted.get(), IsOk());
    if (!close) {
      EXPECT_THAT(committed.get(), IsOk());
      EXPECT_TRUE(Info().superblock.clean_shutdown);
    }
  }
  const auto opened = Open();
  ASSERT_THAT(opened, IsOk());
  EXPECT_FALSE(opened->adopted);
}

TEST_F(EngineCommitTest, AMutationBehindACleanCommitInFlightIsAnsweredOnlyWhenTheFlagIsOff) {
  ASSERT_THAT(Create(100, DirtyTracking::kConservative), IsOk());
  ASSERT_THAT(Do(Insert({0}, {0})), IsOk());
  ASSERT_THAT(Do(Clear({0}, {0})), IsOk());
  MutationOutcome clean;
  engine().Commit("c", true, clean.callback());
  RunIntoCommit();
  const MutationOutcome lazy = Send(Mark({0}));
  executors_.RunOne();
  EXPECT_FALSE(lazy.ready());
  RunUntil([&] { return lazy.ready(); });
  EXPECT_FALSE(Info().superblock.clean_shutdown);
}

// A device so small that the blocks of earlier states are needed again.
class EngineSpaceTest : public EngineTest {
 protected:
  void CreateSmall() {
    // 20 mapping blocks, 9 that belong to them, 13 more: 8 copies and what is kept back for their commit.
    bank_.Add("/meta", 42 * 4096);
    ASSERT_THAT(Create(20 * 509), IsOk());
  }
  // One insert in each of `count` mapping blocks.
  InsertMappings Spread(uint32_t count, uint32_t entry) {
    std::vector<uint32_t> cblocks;
    std::vector<uint64_t> oblocks;
    for (uint32_t i = 0; i < count; ++i) {
      cblocks.push_back(i * 509 + entry);
      oblocks.push_back(i * 509 + entry);
    }
    return Insert(std::move(cblocks), std::move(oblocks));
  }
};

TEST_F(EngineSpaceTest, ARequestShortOfSpaceWaitsForCommitsWhileTheQueueGoesOn) {
  CreateSmall();
  uint32_t answered = 0;
  std::vector<MutationOutcome> outcomes;
  for (uint32_t i = 0; i < 20; ++i) outcomes.push_back(Send(Spread(8, i), {.request_id = absl::StrCat("r", i)}));
  const MutationOutcome stats = Send(SetStats{.stats = {.read_hits = 1}});
  Run();
  for (const MutationOutcome& outcome : outcomes) answered += outcome.get().ok() ? 1 : 0;
  EXPECT_EQ(answered, 20u);
  EXPECT_THAT(stats.get(), IsOk());
  for (uint32_t i = 0; i < 6; ++i) {
    EXPECT_THAT(Do(Remove({i * 509}, {i * 509}), {.answer_when_applied = true}), IsOk());
    EXPECT_THAT(Do(Spread(1, 100 + i)), IsOk());
  }
  EXPECT_THAT(Close(), IsOk());
  EXPECT_THAT(Open(), IsOk());
  EXPECT_EQ(Info().mapped_blocks, 8u * 20 - 6 + 6);
}

TEST_F(EngineSpaceTest, WhatNeverFitsIsRefusedInTheEnd) {
  CreateSmall();
  EXPECT_THAT(Do(Spread(20, 0)), HasReasonIs(Reason::kMetadataNoSpace));
  EXPECT_EQ(Info().mapped_blocks, 0u);
  EXPECT_THAT(Do(Spread(5, 0)), IsOk());
}

TEST_F(EngineSpaceTest, SnapshotsAreRevokedBeforeARequestIsRefused) {
  CreateSmall();
  ASSERT_THAT(Do(Spread(8, 0)), IsOk());
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  ASSERT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 100), IsOk());
  for (uint32_t i = 1; i < 10; ++i) ASSERT_THAT(Do(Spread(8, i), {.durable = true}), IsOk());
  EXPECT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 100), HasReasonIs(Reason::kSnapshotRevoked));
  EXPECT_EQ(engine().Metrics()[0].counters->snapshots_revoked.load(), 1u);
  engine().Tick();
  Run();
  EXPECT_EQ(engine().Metrics()[0].counters->snapshots.load(), 0u);
}

TEST_F(EngineSpaceTest, WhatASnapshotHeldIsFreeOnceItsReaderIsGone) {
  CreateSmall();
  ASSERT_THAT(Do(Spread(8, 0), {.durable = true}), IsOk());
  auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  ASSERT_THAT(Do(Spread(8, 1), {.durable = true}), IsOk());
  snapshot->reset();
  const uint64_t commits = Commits();
  ASSERT_THAT(Do(Spread(8, 2)), IsOk());
  EXPECT_EQ(Commits(), commits);
  EXPECT_EQ(engine().Metrics()[0].counters->snapshots_revoked.load(), 0u);
}

// MODEL.md finding 8: a commit that changes no array block takes no space.
TEST_F(EngineSpaceTest, ASnapshotAndACommitOfStatisticsNeedNoSpace) {
  CreateSmall();
  std::vector<std::shared_ptr<CacheSnapshot>> snapshots;
  for (uint32_t i = 0; i < 10; ++i) {
    ASSERT_THAT(Do(Spread(8, i)), IsOk());
    const auto snapshot = Snapshot();
    ASSERT_THAT(snapshot, IsOk());
    snapshots.push_back(*snapshot);
    ASSERT_THAT(Do(SetStats{.stats = {.read_hits = i}}, {.durable = true}), IsOk());
  }
  EXPECT_EQ(Info().state, CacheState::kOpen);
}

// A repeat of a request that is parked joins it.
TEST_F(EngineSpaceTest, ARepeatOfAParkedRequestJoinsIt) {
  CreateSmall();
  ASSERT_THAT(Do(Spread(8, 0), {.durable = true}), IsOk());
  const MutationOutcome commit = Send(Mark({0}));
  RunIntoCommit();
  // Short of space while that commit is in flight.
  const MutationOutcome first = Send(Spread(8, 1), {.request_id = "a"});
  const MutationOutcome repeat = Send(Spread(8, 1), {.request_id = "a"});
  const MutationOutcome other = Send(Spread(7, 1), {.request_id = "a"});
  Run();
  ASSERT_THAT(first.get(), IsOk());
  ASSERT_THAT(repeat.get(), IsOk());
  EXPECT_EQ(repeat.get()->revision, first.get()->revision);
  EXPECT_THAT(other.get(), HasReasonIs(Reason::kRequestIdReused));
  EXPECT_THAT(commit.get(), IsOk());
}

TEST_F(EngineSpaceTest, CloseFinishesParkedRequests) {
  CreateSmall();
  ASSERT_THAT(Do(Spread(8, 0), {.durable = true}), IsOk());
  const MutationOutcome mark = Send(Mark({0}));
  RunIntoCommit();
  const MutationOutcome parked = Send(Spread(8, 1));
  Outcome<absl::Status> closed;
  engine().Close("c", {}, closed.callback());
  Run();
  EXPECT_THAT(mark.get(), IsOk());
  EXPECT_THAT(parked.get(), IsOk());
  EXPECT_THAT(closed.get(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  EXPECT_EQ(Info().mapped_blocks, 16u);
}

// A block cache of 16 blocks: frames of two transactions fill it.
class EngineMemoryTest : public EngineTest {
 protected:
  EngineMemoryTest() : EngineTest({.block_cache_bytes = 16 * 4096}) {}
};

TEST_F(EngineMemoryTest, MemoryPressureStartsCommitsAndMakesRequestsWait) {
  ASSERT_THAT(Create(100 * 509), IsOk());
  std::vector<MutationOutcome> outcomes;
  for (uint32_t i = 0; i < 100; ++i) outcomes.push_back(Send(Insert({i * 509}, {i})));
  Run();
  for (const MutationOutcome& outcome : outcomes) ASSERT_THAT(outcome.get(), IsOk());
  const auto counters = engine().Metrics()[0].counters;
  EXPECT_GT(counters->commits[static_cast<size_t>(CommitTrigger::kPressure)].load(), 2u);
  EXPECT_LE(counters->block_cache_bytes.load(), 20u * 4096);
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  EXPECT_EQ(Info().mapped_blocks, 100u);
}

}  // namespace
}  // namespace dmcached
