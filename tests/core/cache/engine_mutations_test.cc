// When mutations are answered, and what their ids and conditions do.
#include <chrono>

#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

class EngineMutationsTest : public EngineTest {
 protected:
  // Mapped 1..4 to 11..14, of which 3 and 4 are dirty; hints; dblock 9 discarded; all durable.
  void Prepare(DirtyTracking tracking) {
    ASSERT_THAT(Create(100, tracking), IsOk());
    ASSERT_THAT(Do(BeginHints{.policy_name = "smq", .policy_version = {2, 0, 0}}), IsOk());
    ASSERT_THAT(Do(Insert({1, 2}, {11, 12})), IsOk());
    ASSERT_THAT(Do(Insert({3, 4}, {13, 14}, /*dirty=*/true)), IsOk());
    ASSERT_THAT(Do(Discard(9000, 9001)), IsOk());
    ASSERT_THAT(Commit(), IsOk());
    ASSERT_FALSE(Info().uncommitted_changes);
  }
  // Whether the answer waited for a commit.
  bool WaitsForCommit(Mutation mutation, Conditions conditions = {}) {
    const uint64_t commits = Commits();
    const MutationOutcome outcome = Send(std::move(mutation), std::move(conditions));
    RunUntil([&] { return outcome.ready(); });
    EXPECT_THAT(outcome.get(), IsOk());
    if (!outcome.get().ok()) return false;
    const bool durable = outcome.get()->durable_transaction >= outcome.get()->transaction;
    EXPECT_EQ(Commits() > commits, durable);
    EXPECT_EQ(Info().uncommitted_changes, !durable);
    Run();
    EXPECT_EQ(Commits() > commits, durable) << "a commit was started for nobody";
    EXPECT_THAT(Commit(), IsOk());
    return durable;
  }
};

TEST_F(EngineMutationsTest, ExactAnswersMarksRemovalsAndDirtyInsertsWhenDurable) {
  Prepare(DirtyTracking::kExact);
  EXPECT_TRUE(WaitsForCommit(Mark({1})));
  EXPECT_TRUE(WaitsForCommit(Insert({5}, {15}, /*dirty=*/true)));
  EXPECT_TRUE(WaitsForCommit(Remove({2}, {12})));
  EXPECT_TRUE(WaitsForCommit(Undiscard(9000, 9001)));
  EXPECT_TRUE(WaitsForCommit(BeginHints{.policy_name = "mq"}));
  EXPECT_TRUE(WaitsForCommit(Resize{.cache_blocks = 200}));
  EXPECT_TRUE(WaitsForCommit(Resize{.cache_blocks = 50}));
}

TEST_F(EngineMutationsTest, ConservativeAnswersTheSameWhenDurableButMarks) {
  Prepare(DirtyTracking::kConservative);
  EXPECT_FALSE(WaitsForCommit(Mark({1})));
  EXPECT_TRUE(WaitsForCommit(Insert({5}, {15}, /*dirty=*/true)));
  EXPECT_TRUE(WaitsForCommit(Remove({2}, {12})));
  EXPECT_TRUE(WaitsForCommit(Undiscard(9000, 9001)));
  EXPECT_TRUE(WaitsForCommit(BeginHints{.policy_name = "mq"}));
  EXPECT_TRUE(WaitsForCommit(Resize{.cache_blocks = 50}));
}

TEST_F(EngineMutationsTest, BothAnswerTheRestWhenApplied) {
  for (const DirtyTracking tracking : {DirtyTracking::kExact, DirtyTracking::kConservative}) {
    SCOPED_TRACE(static_cast<int>(tracking));
    Prepare(tracking);
    EXPECT_FALSE(WaitsForCommit(Insert({5}, {15})));
    EXPECT_FALSE(WaitsForCommit(Clear({3}, {13})));
    EXPECT_FALSE(WaitsForCommit(Discard(9010, 9011)));
    EXPECT_FALSE(WaitsForCommit(SaveHints{.cblocks = Keep<uint32_t>({1}), .hints = Keep<uint32_t>({7})}));
    EXPECT_FALSE(WaitsForCommit(SetStats{.stats = {.read_hits = 1}}));
    EXPECT_TRUE(WaitsForCommit(Clear({4}, {14}), {.durable = true}));
    ASSERT_THAT(Close(), IsOk());
    bank_.Add("/meta", kMetadataBytes);
  }
}

TEST_F(EngineMutationsTest, AStreamedMutationIsAnsweredWhenApplied) {
  Prepare(DirtyTracking::kExact);
  EXPECT_FALSE(WaitsForCommit(Mark({1}), {.answer_when_applied = true}));
  EXPECT_FALSE(WaitsForCommit(Remove({2}, {12}), {.answer_when_applied = true}));
}

TEST_F(EngineMutationsTest, ConservativeClearsTheCleanFlagOnTheMediumBeforeAnyAnswer) {
  ASSERT_THAT(Create(100, DirtyTracking::kConservative), IsOk());
  ASSERT_THAT(Commit(/*clean=*/true), IsOk());
  ASSERT_TRUE(Info().superblock.clean_shutdown);
  EXPECT_TRUE(WaitsForCommit(Insert({1}, {11})));
  EXPECT_FALSE(Info().superblock.clean_shutdown);
  EXPECT_FALSE(WaitsForCommit(Insert({2}, {12})));
  ASSERT_THAT(Commit(/*clean=*/true), IsOk());
  EXPECT_TRUE(Info().superblock.clean_shutdown);
  EXPECT_TRUE(WaitsForCommit(Mark({1}), {.answer_when_applied = true}));
  EXPECT_FALSE(Info().superblock.clean_shutdown);
}

// MODEL.md finding 7: a mapping that a crash can take away makes no lazy mark safe.
TEST_F(EngineMutationsTest, ConservativeMarkWaitsForAMappingThatIsNotDurable) {
  Prepare(DirtyTracking::kConservative);
  ASSERT_THAT(Do(Insert({5}, {15})), IsOk());
  EXPECT_TRUE(WaitsForCommit(Mark({5})));
  EXPECT_FALSE(WaitsForCommit(Mark({1})));
}

// MODEL.md finding 5: what a caller acts on must not be taken back by a crash.
TEST_F(EngineMutationsTest, RefusalsThatStateAFactWaitUntilItIsDurable) {
  Prepare(DirtyTracking::kExact);
  ASSERT_THAT(Do(Insert({5}, {15})), IsOk());
  ASSERT_TRUE(Info().uncommitted_changes);
  const auto refused = [&](Mutation mutation, Reason reason) {
    const MutationOutcome outcome = Send(std::move(mutation));
    RunUntil([&] { return outcome.ready(); });
    EXPECT_THAT(outcome.get(), HasReasonIs(reason));
    const bool waited = !Info().uncommitted_changes;
    EXPECT_THAT(Do(SetStats{.stats = {.read_hits = 1}}), IsOk());
    EXPECT_TRUE(Info().uncommitted_changes);
    return waited;
  };
  EXPECT_TRUE(refused(Insert({5}, {16}, /*dirty=*/true), Reason::kCblockInUse));
  EXPECT_TRUE(refused(Insert({6}, {15}, /*dirty=*/true), Reason::kOblockAlreadyMapped));
  EXPECT_TRUE(refused(Mark({60}), Reason::kNotMapped));
  EXPECT_TRUE(refused(Remove({3}, {13}), Reason::kMappingDirty));
  EXPECT_TRUE(refused(Resize{.cache_blocks = 2}, Reason::kDirtyBlocks));
  EXPECT_FALSE(refused(Insert({5}, {16}), Reason::kCblockInUse)) << "its row is when applied";
  EXPECT_FALSE(refused(Mark({100}), Reason::kCblockOutOfRange)) << "no fact about mappings";
}

TEST_F(EngineMutationsTest, AMarkOfWhatIsDirtyAlreadyWaitsForTheFirstMark) {
  Prepare(DirtyTracking::kExact);
  const uint64_t commits = Commits();
  const MutationOutcome first = Send(Mark({1}));
  const MutationOutcome second = Send(Mark({1}));
  RunIntoCommit();
  EXPECT_FALSE(first.ready());
  EXPECT_FALSE(second.ready());
  const MutationOutcome third = Send(Mark({1}));
  Run();
  EXPECT_THAT(second.get(), IsOk());
  EXPECT_THAT(third.get(), IsOk());
  EXPECT_EQ(third.get()->transaction, first.get()->transaction);
  EXPECT_EQ(Commits(), commits + 1) << "a mark that changes nothing needs no commit of its own";
  EXPECT_EQ(third.get()->revision, first.get()->revision + 2) << "it counts as applied";
}

TEST_F(EngineMutationsTest, ARequestIsAtomicAndOthersAreJudgedAfterIt) {
  Prepare(DirtyTracking::kExact);
  const uint64_t revision = Info().revision;
  EXPECT_THAT(Do(Insert({20, 21, 1}, {30, 31, 32})), HasReasonIs(Reason::kCblockInUse));
  EXPECT_EQ(Info().revision, revision);
  const auto found = Lookup({20, 21});
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->mapped, ElementsAre(0, 0));
}

TEST_F(EngineMutationsTest, ConditionsAreJudgedWhenTheRequestIsApplied) {
  Prepare(DirtyTracking::kExact);
  const uint64_t revision = Info().revision;
  const uint64_t incarnation = Info().incarnation;
  const MutationOutcome first = Send(Insert({20}, {30}), {.incarnation = incarnation, .expected_revision = revision});
  const MutationOutcome second = Send(Insert({21}, {31}), {.incarnation = incarnation, .expected_revision = revision});
  Run();
  EXPECT_THAT(first.get(), IsOk());
  EXPECT_EQ(first.get()->revision, revision + 1);
  EXPECT_THAT(second.get(), HasReasonIs(Reason::kRevisionMismatch));
  EXPECT_THAT(Do(Insert({21}, {31}), {.incarnation = incarnation + 1}), HasReasonIs(Reason::kIncarnationChanged));
}

// MODEL.md finding 3: a late copy of a request must not land after its caller went on.
TEST_F(EngineMutationsTest, ARepeatGetsTheFirstAnswerAndHappensOnce) {
  Prepare(DirtyTracking::kExact);
  const auto first = Do(Insert({20}, {30}), {.request_id = "a"});
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(Do(Remove({20}, {30})), IsOk());
  const auto late = Do(Insert({20}, {30}), {.request_id = "a"});
  ASSERT_THAT(late, IsOk());
  EXPECT_EQ(late->revision, first->revision);
  EXPECT_EQ(late->transaction, first->transaction);
  EXPECT_THAT(Lookup({20})->mapped, ElementsAre(0));
  EXPECT_THAT(Do(Insert({20}, {31}), {.request_id = "a"}), HasReasonIs(Reason::kRequestIdReused));
}

TEST_F(EngineMutationsTest, ARepeatWaitsForTheSameTransaction) {
  Prepare(DirtyTracking::kExact);
  const MutationOutcome first = Send(Mark({1}), {.request_id = "a"});
  RunIntoCommit();
  const uint64_t commits = Commits();
  const MutationOutcome repeat = Send(Mark({1}), {.request_id = "a", .expected_revision = Info().revision - 1});
  executors_.RunOne();
  EXPECT_FALSE(first.ready());
  EXPECT_FALSE(repeat.ready());
  Run();
  EXPECT_THAT(first.get(), IsOk());
  EXPECT_THAT(repeat.get(), IsOk());
  EXPECT_EQ(repeat.get()->revision, first.get()->revision);
  EXPECT_EQ(Commits(), commits);
}

TEST_F(EngineMutationsTest, ARefusalIsNotRemembered) {
  Prepare(DirtyTracking::kExact);
  EXPECT_THAT(Do(Insert({1}, {30}), {.request_id = "a"}), HasReasonIs(Reason::kCblockInUse));
  ASSERT_THAT(Do(Remove({1}, {11})), IsOk());
  EXPECT_THAT(Do(Insert({1}, {30}), {.request_id = "a"}), IsOk());
}

TEST_F(EngineMutationsTest, RejectionsAndApplicationsAreCounted) {
  Prepare(DirtyTracking::kExact);
  const auto counters = engine().Metrics()[0].counters;
  EXPECT_THAT(Do(Mark({60})), HasReasonIs(Reason::kNotMapped));
  EXPECT_EQ(counters->rejected[static_cast<size_t>(Reason::kNotMapped)].load(), 1u);
  ASSERT_THAT(Do(Insert({20}, {30})), IsOk());
  ASSERT_THAT(Do(Insert({21}, {31})), IsOk());
  EXPECT_EQ(counters->pending_mutations.load(), 2u);
  EXPECT_EQ(counters->mapped_blocks.load(), 6u);
  EXPECT_GT(counters->dirty_since_seconds.load(), 0);
  ASSERT_THAT(Commit(), IsOk());
  EXPECT_EQ(counters->pending_mutations.load(), 0u);
  ASSERT_THAT(Do(Clear({3, 4}, {13, 14})), IsOk());
  EXPECT_EQ(counters->dirty_since_seconds.load(), 0);
}

class EngineOverloadTest : public EngineTest {
 protected:
  EngineOverloadTest() : EngineTest({.max_queued_requests = 3}) {}
};

TEST_F(EngineOverloadTest, AFullQueueAnswersAtOnceAndNothingOfItHappens) {
  ASSERT_THAT(Create(100), IsOk());
  std::vector<MutationOutcome> outcomes;
  for (uint32_t i = 0; i < 5; ++i) outcomes.push_back(Send(Insert({i}, {i})));
  Run();
  for (int i = 0; i < 3; ++i) EXPECT_THAT(outcomes[i].get(), IsOk());
  for (int i = 3; i < 5; ++i) EXPECT_THAT(outcomes[i].get(), HasReasonIs(Reason::kOverloaded));
  EXPECT_EQ(Info().mapped_blocks, 3u);
  EXPECT_THAT(Do(Insert({9}, {9})), IsOk());
}

// A device that hangs: whoever waits for durability counts, too.
TEST_F(EngineOverloadTest, WhoWaitsForDurabilityFillsTheQueue) {
  ASSERT_THAT(Create(100), IsOk());
  std::vector<MutationOutcome> outcomes;
  outcomes.push_back(Send(Insert({0}, {0}, /*dirty=*/true)));
  RunIntoCommit();
  for (uint32_t i = 1; i < 3; ++i) outcomes.push_back(Send(Insert({i}, {i}, /*dirty=*/true)));
  EXPECT_THAT(Send(Insert({3}, {3})).ready(), false);
  Outcome<absl::StatusOr<MutationResult>> committed;
  Outcome<absl::StatusOr<Reservation>> reserved;
  Outcome<absl::StatusOr<LookupResult>> durable;
  Outcome<absl::StatusOr<LookupResult>> plain;
  engine().Commit("c", false, committed.callback());
  engine().Reserve("c", 1, Duration{0}, nullptr, reserved.callback());
  engine().Lookup("c", {.cblocks = Keep<uint32_t>({0}), .durable = true}, durable.callback());
  engine().Lookup("c", {.cblocks = Keep<uint32_t>({0})}, plain.callback());
  EXPECT_THAT(plain.get(), IsOk());
  Run();
  EXPECT_THAT(committed.get(), HasReasonIs(Reason::kOverloaded));
  EXPECT_THAT(reserved.get(), HasReasonIs(Reason::kOverloaded));
  EXPECT_THAT(durable.get(), HasReasonIs(Reason::kOverloaded));
  for (const MutationOutcome& outcome : outcomes) EXPECT_THAT(outcome.get(), IsOk());
  EXPECT_THAT(Commit(), IsOk());
}

class EngineBytesTest : public EngineTest {
 protected:
  EngineBytesTest() : EngineTest({.max_queued_bytes = 100}) {}
};

TEST_F(EngineBytesTest, TheBytesOfWhatIsQueuedAreBounded) {
  ASSERT_THAT(Create(100), IsOk());
  const MutationOutcome large = Send(Insert({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  const MutationOutcome small = Send(Mark({0}));
  Run();
  EXPECT_THAT(large.get(), IsOk()) << "alone, it is taken whatever its size";
  EXPECT_THAT(small.get(), HasReasonIs(Reason::kOverloaded));
  EXPECT_THAT(Do(Mark({0})), IsOk());
}

TEST_F(EngineMutationsTest, ACallerThatIsGoneChangesNothing) {
  Prepare(DirtyTracking::kExact);
  bool gone = false;
  const MutationOutcome queued = Send(Insert({20}, {30}), {.request_id = "a", .abandoned = [&] { return gone; }});
  gone = true;
  Run();
  EXPECT_EQ(queued.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Lookup({20})->mapped, ElementsAre(0));
  Outcome<absl::StatusOr<Reservation>> reserved;
  engine().Reserve(
      "c", 5, Duration{0}, [&] { return gone; }, reserved.callback());
  Run();
  EXPECT_EQ(reserved.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Info().reserved_blocks, 0u);
  EXPECT_THAT(Do(Insert({20}, {30}), {.request_id = "a"}), IsOk());
}

TEST_F(EngineMutationsTest, NoSuchCacheIsAnsweredOutsideTheCall) {
  EXPECT_THAT(Do(Mark({1})), HasReasonIs(Reason::kCacheNotOpen));
}

TEST_F(EngineMutationsTest, AReadOnlyCacheRefusesMutations) {
  Prepare(DirtyTracking::kExact);
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open([](OpenOptions& o) { o.read_only = true; }), IsOk());
  EXPECT_EQ(Info().state, CacheState::kReadOnly);
  EXPECT_THAT(Do(Mark({1})), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(Reserve(1), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(Commit(), IsOk());
  EXPECT_THAT(Lookup({1})->mapped, ElementsAre(1));
  EXPECT_THAT(Close(), IsOk());
}

}  // namespace
}  // namespace dmcached
