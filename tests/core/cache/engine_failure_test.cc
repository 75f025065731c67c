// What becomes of requests, reservations and the cache itself when the device fails.
#include <chrono>

#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

class EngineFailureTest : public EngineTest {
 protected:
  FaultyDevice& meta() { return bank_.at("/meta"); }
  void FailNextWrite() { meta().SetFaults({.fail_write = meta().writes()}); }
  void FailNextFlush() { meta().SetFaults({.fail_flush = meta().flushes()}); }
  absl::StatusOr<OpenResult> Recover() {
    return Open([](OpenOptions& o) {
      o.metadata_path = "";
      o.recover = true;
    });
  }
};

TEST_F(EngineFailureTest, AFailedWriteLosesTheTransactionAndFailsTheCache) {
  ASSERT_THAT(Create(1000), IsOk());
  ASSERT_THAT(Do(Insert({1}, {1}, /*dirty=*/true)), IsOk());
  FailNextWrite();
  EXPECT_THAT(Do(Insert({2}, {2}, /*dirty=*/true)), HasReasonIs(Reason::kLost));
  EXPECT_EQ(Info().state, CacheState::kFailed);
  EXPECT_NE(Info().last_error, "");
  EXPECT_THAT(Do(Insert({3}, {3})), HasReasonIs(Reason::kCacheFailed));
  EXPECT_THAT(Lookup({1}), HasReasonIs(Reason::kCacheFailed));
  EXPECT_THAT(Commit(), HasReasonIs(Reason::kCacheFailed));
  EXPECT_THAT(Reserve(1), HasReasonIs(Reason::kCacheFailed));
  EXPECT_THAT(Snapshot(), HasReasonIs(Reason::kCacheFailed));
  EXPECT_THAT(engine().GetStats("c"), HasReasonIs(Reason::kCacheFailed));
  EXPECT_EQ(engine().List().size(), 1u);

  const uint64_t incarnation = Info().incarnation;
  ASSERT_THAT(Recover(), IsOk());
  EXPECT_EQ(Info().state, CacheState::kOpen);
  EXPECT_NE(Info().incarnation, incarnation);
  EXPECT_EQ(Info().revision, 0u);
  EXPECT_EQ(Info().last_error, "");
  EXPECT_THAT(Lookup({1, 2})->mapped, ElementsAre(1, 0));
  EXPECT_THAT(Lookup({1, 2})->dirty, ElementsAre(1, 0));
}

TEST_F(EngineFailureTest, AFailedLastFlushLeavesTheOutcomeUnknown) {
  ASSERT_THAT(Create(1000), IsOk());
  meta().SetFaults({.fail_flush = meta().flushes() + 1});
  EXPECT_THAT(Do(Insert({2}, {2}, /*dirty=*/true)), HasReasonIs(Reason::kOutcomeUnknown));
  EXPECT_EQ(Info().state, CacheState::kFailed);
  EXPECT_THAT(Recover(), IsOk());
}

TEST_F(EngineFailureTest, WaitersOfTheTransactionInFlightAndOfTheNextHearTheTruth) {
  ASSERT_THAT(Create(1000), IsOk());
  meta().SetFaults({.fail_flush = meta().flushes() + 1});
  const MutationOutcome in_flight = Send(Insert({2}, {2}, /*dirty=*/true));
  RunIntoCommit();
  const MutationOutcome next = Send(Insert({3}, {3}, /*dirty=*/true));
  const MutationOutcome applied = Send(Insert({4}, {4}));
  const uint64_t commits = Commits();
  Run();
  EXPECT_THAT(in_flight.get(), HasReasonIs(Reason::kOutcomeUnknown));
  EXPECT_THAT(next.get(), HasReasonIs(Reason::kLost));
  EXPECT_THAT(applied.get(), IsOk());
  EXPECT_EQ(Commits(), commits) << "nothing is committed after a failure";
}

TEST_F(EngineFailureTest, IdsOfALostTransactionAreForgotten) {
  ASSERT_THAT(Create(1000), IsOk());
  ASSERT_THAT(Do(Mark({}), {.request_id = "durable"}), IsOk());
  FailNextFlush();
  EXPECT_THAT(Do(Insert({2}, {2}, /*dirty=*/true), {.request_id = "lost"}), HasReasonIs(Reason::kLost));
  ASSERT_THAT(Recover(), IsOk());
  EXPECT_THAT(Do(Insert({2}, {3}), {.request_id = "lost"}), IsOk());
  EXPECT_THAT(Do(Insert({5}, {5}), {.request_id = "durable"}), HasReasonIs(Reason::kRequestIdReused));
}

// MODEL.md finding 2: an old writer must not write its superblock into what the next opener does.
TEST_F(EngineFailureTest, RecoverAndCloseJoinTheWriter) {
  ASSERT_THAT(Create(1000), IsOk());
  const MutationOutcome in_flight = Send(Insert({2}, {2}, /*dirty=*/true));
  executors_.RunOne();
  // The next mutation's bulk write fails while that commit has not begun to write.
  const MutationOutcome resize = Send(Resize{.cache_blocks = 3000});
  RunIntoCommit();
  FailNextWrite();
  RunUntil([&] { return resize.ready(); });
  EXPECT_THAT(resize.get(), testing::Not(IsOk()));
  EXPECT_EQ(Info().state, CacheState::kFailed);
  EXPECT_FALSE(in_flight.ready()) << "its writer has not stopped yet";
  const uint64_t writes = meta().writes();
  Outcome<absl::StatusOr<OpenResult>> recovered;
  engine().Open({.name = "c", .recover = true}, recovered.callback());
  RunUntil([&] { return in_flight.ready(); });
  EXPECT_FALSE(recovered.ready());
  EXPECT_THAT(in_flight.get(), HasReasonIs(Reason::kLost)) << "the writer was told to stop before block 0";
  EXPECT_EQ(meta().writes(), writes) << "the writer went on";
  Run();
  ASSERT_THAT(recovered.get(), IsOk());
  EXPECT_EQ(Info().superblock.cache_blocks, 1000u);
  EXPECT_THAT(Lookup({2})->mapped, ElementsAre(0));
}

TEST_F(EngineFailureTest, AFailedCacheClosesOnlyByDiscarding) {
  ASSERT_THAT(Create(1000), IsOk());
  FailNextWrite();
  EXPECT_THAT(Do(Insert({2}, {2}, /*dirty=*/true)), HasReasonIs(Reason::kLost));
  EXPECT_THAT(Close(), HasReasonIs(Reason::kCacheFailed));
  EXPECT_EQ(Info().state, CacheState::kFailed);
  EXPECT_THAT(Close({.discard_uncommitted = true}), IsOk());
  EXPECT_FALSE(bank_.is_locked("/meta"));
}

TEST_F(EngineFailureTest, ACloseThatCannotCommitFailsTheCache) {
  ASSERT_THAT(Create(1000), IsOk());
  ASSERT_THAT(Do(Insert({2}, {2})), IsOk());
  FailNextWrite();
  EXPECT_THAT(Close(), HasReasonIs(Reason::kIoError));
  EXPECT_EQ(Info().state, CacheState::kFailed);
  EXPECT_THAT(Recover(), IsOk());
}

TEST_F(EngineFailureTest, ShutdownReportsWhatCouldNotBeCommittedAndReleasesTheDevice) {
  ASSERT_THAT(Create(1000), IsOk());
  ASSERT_THAT(Do(Insert({2}, {2})), IsOk());
  FailNextWrite();
  EXPECT_THAT(Shutdown(), HasReasonIs(Reason::kIoError));
  EXPECT_TRUE(engine().List().empty());
  EXPECT_FALSE(bank_.is_locked("/meta"));
}

TEST_F(EngineFailureTest, ARecoveryObeysWhatItIsAsked) {
  ASSERT_THAT(Create(10, DirtyTracking::kExact, [](CreateOptions& o) { o.identity = "mine"; }), IsOk());
  FailNextWrite();
  ASSERT_FALSE(Do(SetStats{.stats = {.read_hits = 1}}, {.durable = true}).ok());
  const auto recover = [&](const std::function<void(OpenOptions&)>& change) {
    return Open([&](OpenOptions& o) {
      o.metadata_path = "";
      o.recover = true;
      change(o);
    });
  };
  EXPECT_THAT(recover([](OpenOptions& o) { o.metadata_path = "/other"; }), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(recover([](OpenOptions& o) { o.expected_identity = "yours"; }), HasReasonIs(Reason::kIdentityMismatch));
  const uint64_t writes = meta().writes();
  ASSERT_THAT(recover([](OpenOptions& o) { o.read_only = true; }), IsOk());
  EXPECT_EQ(Info().state, CacheState::kReadOnly);
  EXPECT_EQ(meta().writes(), writes);
}

TEST_F(EngineFailureTest, RecoversByItselfAfterGrowingDelays) {
  ASSERT_THAT(Create(1000), IsOk());
  FailNextWrite();
  EXPECT_THAT(Do(Insert({2}, {2}, /*dirty=*/true)), HasReasonIs(Reason::kLost));
  // Block 0 can be read, but not written: a writable open does not succeed.
  meta().SetFaults({.fail_write_blocks = {0}});
  const auto tick_after = [&](std::chrono::seconds delay) {
    clock_.Advance(delay);
    engine().Tick();
    Run();
    return Info().state;
  };
  const std::string first_error = Info().last_error;
  EXPECT_EQ(tick_after(std::chrono::seconds(9)), CacheState::kFailed);
  EXPECT_EQ(Info().last_error, first_error);
  EXPECT_EQ(tick_after(std::chrono::seconds(1)), CacheState::kFailed);
  EXPECT_NE(Info().last_error, first_error) << "it was tried";
  meta().SetFaults({});
  EXPECT_EQ(tick_after(std::chrono::seconds(19)), CacheState::kFailed) << "the delay doubled";
  EXPECT_EQ(tick_after(std::chrono::seconds(1)), CacheState::kOpen);
}

TEST_F(EngineFailureTest, AFailedReadFailsOnlyTheRequest) {
  ASSERT_THAT(Create(10 * 509), IsOk());
  ASSERT_THAT(Do(Insert({0, 1000}, {0, 1})), IsOk());
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  meta().SetFaults({.fail_read = meta().reads()});
  EXPECT_THAT(Do(Remove({1000}, {1})), HasReasonIs(Reason::kIoError));
  EXPECT_EQ(Info().state, CacheState::kOpen);
  EXPECT_THAT(Do(Remove({1000}, {1})), IsOk());
}

TEST_F(EngineFailureTest, DamageStopsMutationsAndIsMarkedOnTheMedium) {
  ASSERT_THAT(Create(10 * 509), IsOk());
  ASSERT_THAT(Do(Insert({0, 1000}, {0, 1})), IsOk());
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  // The only block that holds cblock 1000 goes bad under the open cache: find it by its contents.
  std::vector<std::byte> image = meta().Image();
  bool damaged = false;
  for (size_t block = 1; block < image.size() / 4096; ++block) {
    const size_t at = block * 4096 + 24 + (1000 % 509) * 8;
    if (image[at] != std::byte{1} || image[at + 2] != std::byte{1}) continue;
    std::vector<std::byte> bad(image.begin() + static_cast<ptrdiff_t>(block * 4096),
                               image.begin() + static_cast<ptrdiff_t>((block + 1) * 4096));
    bad[100] ^= std::byte{1};
    AlignedBuffer buffer(4096);
    std::copy(bad.begin(), bad.end(), buffer.data());
    ASSERT_THAT(meta().Write(block * 4096, buffer.span()), IsOk());
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  const auto applied = Do(Insert({1}, {2}));
  ASSERT_THAT(applied, IsOk());
  EXPECT_THAT(Lookup({1000}), HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_EQ(Info().state, CacheState::kNeedsCheck);
  EXPECT_TRUE(Info().superblock.needs_check);
  EXPECT_EQ(Info().durable_transaction, applied->transaction);
  EXPECT_THAT(Do(Insert({3}, {3})), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_THAT(Lookup({0, 1})->mapped, ElementsAre(1, 1)) << "sound blocks can be read";
  EXPECT_THAT(Close(), IsOk());
  EXPECT_THAT(Open(), testing::AnyOf(HasReasonIs(Reason::kNeedsCheck), HasReasonIs(Reason::kMetadataCorrupt)));
}

// MODEL.md finding 6: reservations fence, also across a failure.
TEST_F(EngineFailureTest, ReservationsSurviveRecoveryButCannotBeUsedInTheNextIncarnation) {
  ASSERT_THAT(Create(10), IsOk());
  const auto reserved = Reserve(6);
  ASSERT_THAT(reserved, IsOk());
  FailNextWrite();
  EXPECT_THAT(Do(Insert({reserved->cblocks[0]}, {2}, /*dirty=*/true)), HasReasonIs(Reason::kCblockInUse));
  EXPECT_THAT(Do(SetStats{.stats = {.read_hits = 1}}, {.durable = true}), testing::Not(IsOk()));
  ASSERT_EQ(Info().state, CacheState::kFailed);
  ASSERT_THAT(Recover(), IsOk());
  EXPECT_THAT(Reserve(5), HasReasonIs(Reason::kNoFreeCblocks));
  EXPECT_THAT(Reserve(4), IsOk());
  InsertMappings insert = Insert({reserved->cblocks[1]}, {3});
  insert.reservation = reserved->id;
  EXPECT_THAT(Do(insert), HasReasonIs(Reason::kReservationExpired));
  EXPECT_THAT(Do(Insert({reserved->cblocks[1]}, {3})), HasReasonIs(Reason::kCblockInUse));
  clock_.Advance(std::chrono::seconds(60));
  EXPECT_THAT(Reserve(10), IsOk());
}

TEST_F(EngineFailureTest, AFailureReleasesParkedAndJoinedRequests) {
  bank_.Add("/meta", 42 * 4096);
  ASSERT_THAT(Create(20 * 509), IsOk());
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;
  for (uint32_t i = 0; i < 8; ++i) {
    cblocks.push_back(i * 509);
    oblocks.push_back(i);
  }
  ASSERT_THAT(Do(Insert(cblocks, oblocks), {.durable = true}), IsOk());
  const MutationOutcome mark = Send(Mark({0}));
  RunIntoCommit();
  FailNextWrite();
  for (uint32_t& cblock : cblocks) ++cblock;
  for (uint64_t& oblock : oblocks) oblock += 100;
  const MutationOutcome parked = Send(Insert(cblocks, oblocks), {.request_id = "a"});
  const MutationOutcome joined = Send(Insert(cblocks, oblocks), {.request_id = "a"});
  Run();
  EXPECT_THAT(mark.get(), HasReasonIs(Reason::kLost));
  EXPECT_THAT(parked.get(), HasReasonIs(Reason::kCacheFailed));
  EXPECT_THAT(joined.get(), HasReasonIs(Reason::kCacheFailed));
  ASSERT_THAT(Recover(), IsOk());
  EXPECT_THAT(Do(Insert({5}, {500}), {.request_id = "a"}), IsOk());
}

TEST_F(EngineFailureTest, AKillLosesOnlyWhatWasNotAnsweredAsDurable) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(seed);
    bank_.Add("/meta", kMetadataBytes);
    ASSERT_THAT(Create(1000), IsOk());
    ASSERT_THAT(Do(Insert({1}, {1}, /*dirty=*/true)), IsOk());
    const MutationOutcome in_flight = Send(Insert({2}, {2}, /*dirty=*/true));
    RunIntoCommit();
    executors_.RunOne();  // The writer; its report is not heard.
    const std::vector<std::byte> image = meta().CrashImage(seed);
    Kill();
    EXPECT_THAT(in_flight.get(), testing::Not(testing::AllOf(HasReasonIs(Reason::kLost), IsOk())));
    bank_.Replace("/meta", image);
    Start();
    const auto opened = Open();
    ASSERT_THAT(opened, IsOk());
    EXPECT_FALSE(opened->adopted) << "EXACT metadata is clean after every commit";
    EXPECT_THAT(Lookup({1})->dirty, ElementsAre(1));
    Kill();
    Start();
  }
}

}  // namespace
}  // namespace dmcached
