// Look-ups, reservations and snapshots.
#include <chrono>
#include <numeric>

#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class EngineReadsTest : public EngineTest {};

TEST_F(EngineReadsTest, LookUpFindsByCblockAndByOblockWithHints) {
  ASSERT_THAT(Create(100), IsOk());
  EXPECT_THAT(Lookup({1})->hints, IsEmpty());
  ASSERT_THAT(Do(BeginHints{.policy_name = "smq"}), IsOk());
  ASSERT_THAT(Do(Insert({1, 2}, {11, 12})), IsOk());
  ASSERT_THAT(Do(SaveHints{.cblocks = Keep<uint32_t>({2}), .hints = Keep<uint32_t>({77})}), IsOk());
  Outcome<absl::StatusOr<LookupResult>> outcome;
  engine().Lookup("c", {.oblocks = Keep<uint64_t>({12, 13, 11})}, outcome.callback());
  Run();
  ASSERT_THAT(outcome.get(), IsOk());
  EXPECT_THAT(outcome.get()->mapped, ElementsAre(1, 0, 1));
  EXPECT_THAT(outcome.get()->cblocks, ElementsAre(2, 0, 1));
  EXPECT_THAT(outcome.get()->hints, ElementsAre(77, 0, 0));
  EXPECT_THAT(outcome.get()->dirty_stored, IsEmpty());
  EXPECT_THAT(Lookup({100}), HasReasonIs(Reason::kCblockOutOfRange));
}

TEST_F(EngineReadsTest, ALookUpThatMissesTheBlockCacheReadsOnTheReaders) {
  ASSERT_THAT(Create(10 * 509), IsOk());
  ASSERT_THAT(Do(Insert({0, 1000, 3000}, {0, 1, 2})), IsOk());
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  Outcome<absl::StatusOr<LookupResult>> cold;
  engine().Lookup("c", {.cblocks = Keep<uint32_t>({0, 1000, 3000})}, cold.callback());
  EXPECT_FALSE(cold.ready());
  Run();
  EXPECT_THAT(cold.get()->oblocks, ElementsAre(0, 1, 2));
  Outcome<absl::StatusOr<LookupResult>> warm;
  engine().Lookup("c", {.cblocks = Keep<uint32_t>({0, 1000, 3000})}, warm.callback());
  EXPECT_TRUE(warm.ready());
}

// MODEL.md finding 5: what a caller decides by a look-up must be durable.
TEST_F(EngineReadsTest, ADurableLookUpWaitsForWhatItSaw) {
  ASSERT_THAT(Create(100), IsOk());
  ASSERT_THAT(Do(Insert({1}, {11})), IsOk());
  EXPECT_THAT(Lookup({1}), IsOk());
  EXPECT_TRUE(Info().uncommitted_changes);
  const auto found = Lookup({1}, /*durable=*/true);
  ASSERT_THAT(found, IsOk());
  EXPECT_GE(found->durable_transaction, found->transaction);
  EXPECT_FALSE(Info().uncommitted_changes);

  bank_.at("/meta").SetFaults({.fail_write = bank_.at("/meta").writes()});
  ASSERT_THAT(Do(Insert({2}, {12})), IsOk());
  EXPECT_THAT(Lookup({2}, /*durable=*/true), HasReasonIs(Reason::kLost));
}

TEST_F(EngineReadsTest, AReservationKeepsOthersAway) {
  ASSERT_THAT(Create(10), IsOk());
  const auto mine = Reserve(6);
  ASSERT_THAT(mine, IsOk());
  EXPECT_EQ(mine->cblocks.size(), 6u);
  EXPECT_EQ(mine->ttl, std::chrono::seconds(60));
  EXPECT_EQ(Info().reserved_blocks, 6u);
  EXPECT_EQ(Info().free_blocks, 4u);
  EXPECT_THAT(Reserve(5), HasReasonIs(Reason::kNoFreeCblocks));
  EXPECT_EQ(Info().reserved_blocks, 6u) << "nothing is held when there are too few";
  const auto theirs = Reserve(4);
  ASSERT_THAT(theirs, IsOk());
  const uint32_t cblock = mine->cblocks[0];
  EXPECT_THAT(Do(Insert({cblock}, {1})), HasReasonIs(Reason::kCblockInUse));
  InsertMappings insert = Insert({cblock}, {1});
  insert.reservation = theirs->id;
  EXPECT_THAT(Do(insert), HasReasonIs(Reason::kCblockInUse));
  insert.reservation = mine->id;
  EXPECT_THAT(Do(insert), IsOk());
  EXPECT_EQ(Info().reserved_blocks, 9u) << "inserting uses it up";
}

TEST_F(EngineReadsTest, AnInsertUnderAReservationThatIsOverIsRefusedWhole) {
  ASSERT_THAT(Create(10), IsOk());
  const auto reserved = Reserve(2, std::chrono::seconds(5));
  ASSERT_THAT(reserved, IsOk());
  InsertMappings insert = Insert(reserved->cblocks, {1, 2});
  insert.reservation = reserved->id;
  clock_.Advance(std::chrono::seconds(5));
  EXPECT_THAT(Do(insert), HasReasonIs(Reason::kReservationExpired));
  insert.reservation = 12345;
  EXPECT_THAT(Do(insert), HasReasonIs(Reason::kReservationExpired));
  EXPECT_EQ(Info().mapped_blocks, 0u);
  insert.reservation.reset();
  EXPECT_THAT(Do(insert), IsOk()) << "nobody holds them now";
}

TEST_F(EngineReadsTest, ReleaseGivesBackWhatIsLeft) {
  ASSERT_THAT(Create(10), IsOk());
  const auto reserved = Reserve(3);
  InsertMappings insert = Insert({reserved->cblocks[1]}, {1});
  insert.reservation = reserved->id;
  ASSERT_THAT(Do(insert), IsOk());
  const auto release = [&] {
    Outcome<absl::StatusOr<uint32_t>> outcome;
    engine().Release("c", reserved->id, outcome.callback());
    Run();
    return outcome.get();
  };
  const auto released = release();
  ASSERT_THAT(released, IsOk());
  EXPECT_EQ(*released, 2u);
  EXPECT_THAT(release(), HasReasonIs(Reason::kReservationExpired));
  EXPECT_THAT(Reserve(9), IsOk());
}

// MODEL.md finding 1: free in the running state is not enough.
TEST_F(EngineReadsTest, ACblockWhoseRemovalIsNotDurableIsNotReserved) {
  ASSERT_THAT(Create(1), IsOk());
  ASSERT_THAT(Do(Insert({0}, {1})), IsOk());
  MutationOutcome commit;
  engine().Commit("c", false, commit.callback());
  RunIntoCommit();
  // Mapped in the transaction in flight, never in the durable one; removed in the open one.
  const MutationOutcome removed = Send(Remove({0}, {1}));
  Outcome<absl::StatusOr<Reservation>> early;
  engine().Reserve("c", 1, Duration{0}, nullptr, early.callback());
  RunUntil([&] { return early.ready(); });
  EXPECT_THAT(early.get(), HasReasonIs(Reason::kNoFreeCblocks));
  EXPECT_FALSE(removed.ready());
  Run();
  EXPECT_THAT(removed.get(), IsOk());
  EXPECT_THAT(Reserve(1), IsOk());
}

TEST_F(EngineReadsTest, AfterAnOpenNobodyIsGivenACblockUntilOldHoldersAreDone) {
  ASSERT_THAT(Create(10), IsOk());
  EXPECT_THAT(Reserve(1), IsOk()) << "a cache just created has no old holders";
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  EXPECT_THAT(Reserve(1), HasReasonIs(Reason::kReserveHoldoff));
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_THAT(Reserve(1), HasReasonIs(Reason::kReserveHoldoff));
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_THAT(Reserve(1), IsOk());
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open([](OpenOptions& o) { o.old_callers_gone = true; }), IsOk());
  EXPECT_THAT(Reserve(1), IsOk());
}

class EngineSnapshotTest : public EngineTest {
 protected:
  // Cblock i to oblock 2i, every third dirty, hint i + 1.
  void Fill(uint32_t version, uint32_t blocks) {
    ASSERT_THAT(Create(blocks, DirtyTracking::kExact, [&](CreateOptions& o) { o.version = version; }), IsOk());
    ASSERT_THAT(Do(BeginHints{.policy_name = "smq", .policy_version = {2, 1, 0}}), IsOk());
    std::vector<uint32_t> cblocks(blocks - 1);
    std::iota(cblocks.begin(), cblocks.end(), 0);
    std::vector<uint64_t> oblocks;
    std::vector<uint32_t> dirty;
    std::vector<uint32_t> hints;
    for (const uint32_t cblock : cblocks) {
      oblocks.push_back(2 * cblock);
      if (cblock % 3 == 0) dirty.push_back(cblock);
      hints.push_back(cblock + 1);
    }
    ASSERT_THAT(Do(Insert(cblocks, oblocks)), IsOk());
    ASSERT_THAT(Do(Mark(dirty)), IsOk());
    ASSERT_THAT(Do(SaveHints{.cblocks = Keep(cblocks), .hints = Keep(hints)}), IsOk());
    ASSERT_THAT(Do(Discard(9000, 9010)), IsOk());
    ASSERT_THAT(Do(Discard(9020, 9021)), IsOk());
    ASSERT_THAT(Do(Discard(12400, 12500)), IsOk());
  }
};

TEST_F(EngineSnapshotTest, GivesEveryMappingInPages) {
  for (const uint32_t version : {1u, 2u}) {
    SCOPED_TRACE(version);
    bank_.Add("/meta", kMetadataBytes);
    Fill(version, 3000);
    const auto snapshot = Snapshot();
    ASSERT_THAT(snapshot, IsOk());
    EXPECT_EQ((*snapshot)->incarnation(), Info().incarnation);
    EXPECT_EQ((*snapshot)->transaction(), Info().durable_transaction);
    // What comes later is not seen.
    ASSERT_THAT(Do(Insert({2999}, {1})), IsOk());
    ASSERT_THAT(Do(Remove({1}, {2})), IsOk());
    uint32_t expected = 0;
    std::optional<Cblock> next = Cblock(0);
    while (next.has_value()) {
      const auto page = (*snapshot)->ReadMappings({}, *next, 700);
      ASSERT_THAT(page, IsOk());
      ASSERT_LE(page->cblocks.size(), 700u);
      for (size_t i = 0; i < page->cblocks.size(); ++i) {
        ASSERT_EQ(page->cblocks[i], expected);
        ASSERT_EQ(page->oblocks[i], 2u * expected);
        ASSERT_EQ(page->dirty[i], expected % 3 == 0 ? 1 : 0);
        ASSERT_EQ(page->hints[i], expected + 1);
        ++expected;
      }
      EXPECT_THAT(page->dirty_stored, IsEmpty());
      next = page->next;
    }
    EXPECT_EQ(expected, 2999u);
    ASSERT_THAT(Close(), IsOk());
  }
}

TEST_F(EngineSnapshotTest, FiltersMappings) {
  Fill(2, 3000);
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  const auto read = [&](const MappingFilter& filter) {
    const auto page = (*snapshot)->ReadMappings(filter, Cblock(0), 10000);
    EXPECT_THAT(page, IsOk());
    EXPECT_FALSE(page->next.has_value());
    return page->cblocks;
  };
  EXPECT_EQ(read({.dirty_only = true}).size(), 1000u);
  EXPECT_THAT(read({.cblocks = CblockRange{Cblock(510), Cblock(512)}}), ElementsAre(510, 511));
  EXPECT_THAT(read({.oblocks = OblockRange{Oblock(2001), Oblock(2006)}}), ElementsAre(1001, 1002));
  EXPECT_THAT(read({.dirty_only = true, .cblocks = CblockRange{Cblock(2996), Cblock(5000)}}), ElementsAre(2997));
}

TEST_F(EngineSnapshotTest, HintsAreValidForTheSamePolicyAndMajorVersionOnly) {
  Fill(2, 600);
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  const auto hints = [&](const std::optional<HintPolicy>& policy) {
    return (*snapshot)->ReadHints(policy, Cblock(0), 1000)->hints.size();
  };
  EXPECT_EQ(hints(std::nullopt), 599u);
  EXPECT_EQ(hints(HintPolicy{"smq", {2, 7, 0}}), 599u);
  EXPECT_EQ(hints(HintPolicy{"smq", {3, 1, 0}}), 0u);
  EXPECT_EQ(hints(HintPolicy{"mq", {2, 1, 0}}), 0u);
  const auto page = (*snapshot)->ReadMappings({.policy = HintPolicy{"mq", {2, 1, 0}}}, Cblock(0), 10);
  EXPECT_THAT(page->hints, IsEmpty());
}

TEST_F(EngineSnapshotTest, GivesMaximalDiscardRanges) {
  Fill(2, 600);
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  const auto first = (*snapshot)->ReadDiscards(Dblock(0), 2);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(first->begins, ElementsAre(9000, 9020));
  EXPECT_THAT(first->ends, ElementsAre(9010, 9021));
  ASSERT_TRUE(first->next.has_value());
  const auto rest = (*snapshot)->ReadDiscards(*first->next, 2);
  ASSERT_THAT(rest, IsOk());
  EXPECT_THAT(rest->begins, ElementsAre(12400));
  EXPECT_THAT(rest->ends, ElementsAre(12500));
  EXPECT_FALSE(rest->next.has_value());
}

TEST_F(EngineSnapshotTest, UncleanMetadataReadOnlyCountsEverythingDirty) {
  ASSERT_THAT(Create(100, DirtyTracking::kConservative), IsOk());
  ASSERT_THAT(Do(BeginHints{.policy_name = "smq"}), IsOk());
  ASSERT_THAT(Do(Insert({1}, {11})), IsOk());
  ASSERT_THAT(Do(Insert({2}, {12}, /*dirty=*/true)), IsOk());
  ASSERT_THAT(Do(Discard(5000, 5001)), IsOk());
  ASSERT_THAT(Commit(), IsOk());
  Kill();
  Start();
  ASSERT_THAT(Open([](OpenOptions& o) { o.read_only = true; }), IsOk());
  EXPECT_TRUE(Info().must_assume_all_dirty);
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  const auto page = (*snapshot)->ReadMappings({}, Cblock(0), 10);
  ASSERT_THAT(page, IsOk());
  EXPECT_THAT(page->dirty, ElementsAre(1, 1));
  EXPECT_THAT(page->dirty_stored, ElementsAre(0, 1));
  EXPECT_THAT(page->hints, IsEmpty());
  EXPECT_THAT((*snapshot)->ReadDiscards(Dblock(0), 10)->begins, IsEmpty());
  EXPECT_THAT(Lookup({1, 2})->dirty, ElementsAre(1, 1));
  EXPECT_THAT(Lookup({1, 2})->dirty_stored, ElementsAre(0, 1));
}

TEST_F(EngineSnapshotTest, ASnapshotCommitsWhatWasAcceptedBefore) {
  ASSERT_THAT(Create(100), IsOk());
  ASSERT_THAT(Do(Insert({1}, {11})), IsOk());
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 10)->cblocks, ElementsAre(1));
  EXPECT_EQ(Info().snapshots, 1u);
}

TEST_F(EngineSnapshotTest, TheFifthDifferentSnapshotEndsTheFirst) {
  ASSERT_THAT(Create(100), IsOk());
  std::vector<std::shared_ptr<CacheSnapshot>> snapshots;
  for (uint32_t i = 0; i < 5; ++i) {
    ASSERT_THAT(Do(Insert({i}, {i})), IsOk());
    const auto snapshot = Snapshot();
    ASSERT_THAT(snapshot, IsOk());
    snapshots.push_back(*snapshot);
  }
  EXPECT_THAT(snapshots[0]->ReadMappings({}, Cblock(0), 10), HasReasonIs(Reason::kSnapshotRevoked));
  EXPECT_THAT(snapshots[1]->ReadMappings({}, Cblock(0), 10), IsOk());
  EXPECT_EQ(Info().snapshots, 4u);
}

TEST_F(EngineSnapshotTest, AnIdleReaderLosesItsSnapshot) {
  ASSERT_THAT(Create(100), IsOk());
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  clock_.Advance(std::chrono::seconds(50));
  engine().Tick();
  ASSERT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 10), IsOk());
  clock_.Advance(std::chrono::seconds(59));
  engine().Tick();
  ASSERT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 10), IsOk());
  clock_.Advance(std::chrono::seconds(60));
  engine().Tick();
  EXPECT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 10), HasReasonIs(Reason::kSnapshotRevoked));
  EXPECT_EQ(Info().snapshots, 0u);
}

TEST_F(EngineSnapshotTest, CloseAndRecoverEndSnapshotsAndReleaseTheDevice) {
  ASSERT_THAT(Create(100), IsOk());
  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  ASSERT_THAT(Close(), IsOk());
  EXPECT_FALSE(bank_.is_locked("/meta")) << "a reader does not keep the device";
  EXPECT_THAT((*snapshot)->ReadMappings({}, Cblock(0), 10), HasReasonIs(Reason::kSnapshotRevoked));
}

}  // namespace
}  // namespace dmcached
