// What a model of the design found, one by one, where a test of the unit is not enough; README.md lists the others.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/cache/engine.h"
#include "tests/crash/gapped_device.h"
#include "tests/crash/recording_device.h"
#include "tests/support/device_handle.h"
#include "tests/support/image_walker.h"
#include "tests/support/manual_clock.h"
#include "tests/support/manual_executor.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"

namespace dmcached {
namespace {

constexpr uint64_t kMetadataBlocks = 200;

// An engine whose commits can be stopped at any of their writes and flushes while everything else goes on.
class FindingsTest : public testing::Test {
 protected:
  FindingsTest() { options_.recover_interval = Duration{0}; }
  ~FindingsTest() override { Kill(); }

  void Kill() {
    engine_.reset();
    executors_.RunUntilIdle();
  }

  // A new cache on a new device.
  void Create(uint64_t metadata_blocks = kMetadataBlocks) {
    Kill();
    device_ = std::make_unique<RecordingDevice>(std::vector<std::byte>(metadata_blocks * kMetadataBlockBytes));
    StartEngine();
    CreateOptions create;
    create.name = "c";
    create.metadata_path = "/meta";
    create.data_block_size = Sectors(128);
    create.cache_blocks = 1000;
    create.origin_size = Sectors(128 * 10000);
    engine_->Create(create, [](const absl::StatusOr<CacheInfo>& created) { ASSERT_THAT(created, IsOk()); });
    executors_.RunUntilIdle();
  }

  void StartEngine() {
    ++options_.seed;
    engine_ = std::make_unique<Engine>(
        options_, [this](const DeviceRequest&) { return OpenDevice(); }, clock_, executors_, executors_.readers());
  }
  virtual std::unique_ptr<BlockDevice> OpenDevice() { return std::make_unique<DeviceHandle>(*device_); }

  // The process is killed; what the device had not flushed is still in its cache.
  void Die() {
    device_->Freeze();
    Kill();
    device_->Thaw();
  }
  // Whoever comes next opens what the device shows.
  void Reopen() {
    StartEngine();
    OpenOptions open;
    open.name = "c";
    open.metadata_path = "/meta";
    absl::Status opened = absl::UnknownError("not answered");
    engine_->Open(open, [&](const absl::StatusOr<OpenResult>& result) { opened = result.status(); });
    executors_.RunUntilIdle();
    ASSERT_THAT(opened, IsOk());
  }
  bool IsMapped(uint32_t cblock) {
    bool mapped = false;
    engine_->Lookup("c", {.cblocks = {&cblock, 1}, .oblocks = {}, .durable = false},
                    [&](const absl::StatusOr<LookupResult>& found) { mapped = found.ok() && found->mapped[0] != 0; });
    executors_.RunUntilIdle();
    return mapped;
  }

  // Which mappings a power cut now may leave.
  std::set<std::set<uint32_t>> MappedAfterCuts() {
    std::set<std::set<uint32_t>> possible;
    for (uint64_t seed = 0; seed < 12; ++seed) {
      const WalkedImage walked = WalkImage(device_->CrashImage(seed));
      EXPECT_EQ(walked.Faults(), "") << "crash image " << seed;
      std::set<uint32_t> mapped;
      for (const auto& [cblock, to] : walked.contents.mappings) mapped.insert(cblock);
      possible.insert(mapped);
    }
    return possible;
  }

  using Answer = std::shared_ptr<absl::Status>;
  // Sends a dirty insert; its answer comes when it is durable.
  Answer InsertDirty(uint32_t cblock, uint64_t oblock) {
    static constexpr bool kDirty = true;
    const auto columns = KeepColumns(cblock, oblock);
    InsertMappings insert;
    insert.cblocks = columns->first;
    insert.oblocks = columns->second;
    insert.dirty = {&kDirty, 1};
    return Send(insert, columns);
  }
  Answer Remove(uint32_t cblock, uint64_t oblock) {
    const auto columns = KeepColumns(cblock, oblock);
    RemoveMappings remove;
    remove.cblocks = columns->first;
    remove.oblocks = columns->second;
    remove.discard_dirty = true;
    return Send(remove, columns);
  }

  // Calls `act` before write or flush number `step` from now on; reached_ says whether there was one.
  void StopAt(uint64_t step, std::function<void()> act) {
    device_->set_before_io([this, step, act = std::move(act), count = uint64_t{0}]() mutable {
      if (acting_ || count++ != step) return;
      acting_ = true;
      act();
      acting_ = false;
      reached_ = true;
    });
  }

  // Every image that a power cut now may leave is whole and has `cblock` mapped and dirty.
  void ExpectEveryCutHas(uint32_t cblock) {
    for (uint64_t seed = 0; seed < 12; ++seed) {
      const WalkedImage walked = WalkImage(device_->CrashImage(seed));
      ASSERT_EQ(walked.Faults(), "") << "crash image " << seed;
      const auto found = walked.contents.mappings.find(cblock);
      ASSERT_TRUE(found != walked.contents.mappings.end() && found->second.dirty) << "crash image " << seed;
    }
  }

  using Columns = std::shared_ptr<std::pair<std::vector<uint32_t>, std::vector<uint64_t>>>;
  static Columns KeepColumns(uint32_t cblock, uint64_t oblock) {
    return std::make_shared<Columns::element_type>(std::vector{cblock}, std::vector{oblock});
  }
  Answer Send(const Mutation& mutation, const Columns& columns) {
    auto answer = std::make_shared<absl::Status>(absl::UnknownError("not answered"));
    engine_->Apply("c", mutation, {},
                   [columns, answer](const absl::StatusOr<MutationResult>& result) { *answer = result.status(); });
    return answer;
  }

  ManualClock clock_;
  ManualExecutorFactory executors_;
  std::unique_ptr<RecordingDevice> device_;
  EngineOptions options_;
  std::unique_ptr<Engine> engine_;
  bool acting_ = false;
  bool reached_ = false;
};

// Finding 1: the removal of a cblock is being written; until it is durable a crash brings the old mapping back, over
// whatever was copied into the cblock since.
TEST_F(FindingsTest, Finding1_ACblockIsNotFreeWhileItsRemovalIsWritten) {
  for (uint64_t step = 0;; ++step) {
    SCOPED_TRACE(testing::Message() << "before write or flush " << step << " of the commit");
    Create();
    const Answer inserted = InsertDirty(3, 2);
    executors_.RunUntilIdle();
    ASSERT_THAT(*inserted, IsOk());
    reached_ = false;
    Answer again;
    StopAt(step, [&] {
      again = InsertDirty(3, 7);
      while (executors_.RunOne()) {
      }
    });
    const Answer removed = Remove(3, 2);
    executors_.RunUntilIdle();
    device_->set_before_io(nullptr);
    if (!reached_) {
      EXPECT_GT(step, 2u);
      return;
    }
    EXPECT_THAT(*removed, IsOk());
    EXPECT_THAT(*again, HasReasonIs(Reason::kCblockInUse));
  }
}

// Finding 2: N is being written; a bulk write of N+1 fails, the cache is recovered and used again; what is left of the
// old writer must not reach the device any more.
TEST_F(FindingsTest, Finding2_TheOldWriterIsOverBeforeARecoveryBegins) {
  for (uint64_t step = 0;; ++step) {
    SCOPED_TRACE(testing::Message() << "failed before write or flush " << step << " of the commit");
    Create();
    reached_ = false;
    absl::Status recovered = absl::UnknownError("not answered");
    Answer after;
    StopAt(step, [&] {
      Resize grow;
      grow.cache_blocks = 9000;
      device_->FailWrite(0);
      engine_->Apply("c", grow, {}, [](const absl::StatusOr<MutationResult>&) {});
      while (engine_->Get("c")->state != CacheState::kFailed && executors_.RunOne()) {
      }
      device_->ClearFaults();
      OpenOptions open;
      open.name = "c";
      open.recover = true;
      engine_->Open(open, [&](const absl::StatusOr<OpenResult>& result) {
        recovered = result.status();
        after = InsertDirty(2, 2);
      });
      executors_.RunUntilIdle();
    });
    const auto in_flight = InsertDirty(1, 1);
    executors_.RunUntilIdle();
    device_->set_before_io(nullptr);
    if (!reached_) {
      EXPECT_GT(step, 2u);
      return;
    }
    ASSERT_THAT(recovered, IsOk());
    ASSERT_THAT(*after, IsOk());
    ExpectEveryCutHas(2);
    if (in_flight->ok()) ExpectEveryCutHas(1);
    if (HasFatalFailure()) return;
  }
}

// The volatile cache survives the death of the process: what the next one reads may still be lost with the power.  It
// answers, and writes anything else, only when block 0 as it read it is durable.
TEST_F(FindingsTest, KilledReopenedAndThenThePowerIsCut) {
  bool was_doubtful = false;
  bool died_in_commit = true;
  for (uint64_t step = 0; died_in_commit; ++step) {
    SCOPED_TRACE(testing::Message() << "killed after " << step << " writes and flushes of the commit");
    Create();
    const Answer durable = InsertDirty(3, 2);
    executors_.RunUntilIdle();
    ASSERT_THAT(*durable, IsOk());
    device_->FreezeAfter(step);
    InsertDirty(5, 7);
    executors_.RunUntilIdle();
    died_in_commit = device_->frozen();
    Die();
    was_doubtful = was_doubtful || MappedAfterCuts().size() > 1;

    std::vector<IoEvent> events;
    device_->set_observer([&](const IoEvent& event) { events.push_back(event); });
    Reopen();
    if (HasFatalFailure()) return;
    ASSERT_GE(events.size(), 2u);
    EXPECT_EQ(events[0].kind, IoEvent::Kind::kWrite);
    EXPECT_EQ(events[0].offset_bytes, 0u);
    EXPECT_EQ(events[0].data.size(), kMetadataBlockBytes);
    EXPECT_EQ(events[1].kind, IoEvent::Kind::kFlush);
    const std::set<std::set<uint32_t>> possible = MappedAfterCuts();
    ASSERT_EQ(possible.size(), 1u) << "the open was answered, but what it showed may be lost";
    EXPECT_EQ(*possible.begin(), IsMapped(5) ? (std::set<uint32_t>{3, 5}) : (std::set<uint32_t>{3}));
  }
  EXPECT_TRUE(was_doubtful) << "no kill came between the write of block 0 and its flush";
}

// Finding 8, and what is kept back for commits: a request may be refused for lack of space, a commit never.
TEST_F(FindingsTest, Finding8_NoCommitRunsOutOfSpaceHoweverFullTheDevice) {
  for (uint64_t blocks = 24; blocks < 48; ++blocks) {
    SCOPED_TRACE(testing::Message() << blocks << " metadata blocks");
    Create(blocks);
    std::vector<std::shared_ptr<CacheSnapshot>> snapshots;
    for (uint32_t round = 0; round < 40; ++round) {
      // Neighbouring cblocks share their array blocks, distant ones do not.
      for (const uint32_t first : {0u, 480u, 950u}) InsertDirty(first + round, first + round);
      if (round % 3 == 0) Remove(round, round);
      for (uint32_t i = round % 7; i > 0; --i) executors_.RunOne();
      engine_->TakeSnapshot("c", [&](absl::StatusOr<std::shared_ptr<CacheSnapshot>> snapshot) {
        if (snapshot.ok()) snapshots.push_back(*std::move(snapshot));
      });
    }
    executors_.RunUntilIdle();
    const CacheInfo info = *engine_->Get("c");
    EXPECT_EQ(info.state, CacheState::kOpen) << info.last_error;
    EXPECT_EQ(WalkImage(device_->Image()).Faults(), "");
  }
}

// What is kept back for commits, and that allocation goes forward, hides most reuse of a block that the commit in
// flight needs: here every array block is copied again while one is in flight, and the free blocks are few enough to
// come round.
class TightDeviceTest : public FindingsTest {
 protected:
  static constexpr uint32_t kArrayBlocks = 16;
  static constexpr uint32_t kApart = 500;  // Cblocks; never two in one array block.

  static FormatParams Params() {
    FormatParams params;
    params.version = 2;
    params.data_block_size = Sectors(128);
    params.cache_blocks = kArrayBlocks * kApart;
    params.origin_size = Sectors(128 * kArrayBlocks * kApart);
    params.force = true;
    return params;
  }

  // Nothing that is acknowledged is lost, and nothing else is there, at every write and flush of a few commits.
  void ChangeEverythingBesideEveryCommit(const GappedImage& image) {
    Kill();
    device_ = std::make_unique<RecordingDevice>(image.kept);
    gap_ = image.gap;
    Reopen();
    ASSERT_FALSE(HasFatalFailure());
    uint32_t round = 0;
    device_->set_before_io([&] {
      if (acting_) return;
      acting_ = true;
      for (uint64_t seed = 0; seed < 4; ++seed) ExpectSound(device_->CrashImage(seed));
      if (round < 10) InsertIntoEveryBlock(round++);
      while (executors_.RunOne()) {
      }
      acting_ = false;
    });
    InsertIntoEveryBlock(round++);
    executors_.RunUntilIdle();
    device_->set_before_io(nullptr);
    ExpectSound(device_->CrashImage(0));
    EXPECT_EQ(engine_->Get("c")->state, CacheState::kOpen) << engine_->Get("c")->last_error;
  }
  // Every cblock is mapped to the oblock of its number.
  void InsertIntoEveryBlock(uint32_t round) {
    for (uint32_t i = 0; i < kArrayBlocks; ++i) InsertDirty(i * kApart + round, i * kApart + round);
  }
  void ExpectSound(const std::vector<std::byte>& image) const {
    const WalkedImage walked = WalkImage(image, gap_);
    ASSERT_EQ(walked.Faults(), "");
    for (const auto& [cblock, to] : walked.contents.mappings) ASSERT_EQ(to.oblock, cblock);
  }
  std::unique_ptr<BlockDevice> OpenDevice() override { return std::make_unique<GappedDevice>(*device_, gap_); }

  Gap gap_;
};

TEST_F(TightDeviceTest, NoBlockOfTheCommitInFlightIsGivenToTheNext) {
  for (uint64_t blocks = 44; blocks < 84; ++blocks) {
    SCOPED_TRACE(testing::Message() << blocks << " metadata blocks");
    FaultyDevice device(blocks * kMetadataBlockBytes);
    const auto formatted = CacheMetadata::Format(std::make_shared<DeviceHandle>(device), Params(), NewCounters());
    if (HasReason(formatted.status(), Reason::kMetadataNoSpace)) continue;
    ASSERT_THAT(formatted.status(), IsOk());
    ChangeEverythingBesideEveryCommit({.gap = {}, .kept = device.Image()});
    if (HasFailure()) return;
  }
}

TEST_F(TightDeviceTest, NorWhereItIsOfTheSecondBitmap) {
  for (const uint64_t below : {2u, 7u}) {
    for (uint64_t above = 20; above < 46; ++above) {
      SCOPED_TRACE(testing::Message() << below << " free blocks of the first bitmap and " << above << " of the second");
      ChangeEverythingBesideEveryCommit(FormatGapped(Params(), below, above));
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace dmcached
