// Checks of open caches while they work, and of paths; the needs_check flag.
#include "core/maintenance/check_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/format/layout.h"
#include "core/format/seal.h"
#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

class Watcher : public CheckObserver {
 public:
  void OnProgress(uint64_t, uint64_t) override {
    if (on_progress) on_progress();
  }
  void OnFinding(const Finding& finding) override { kinds.emplace_back(FindingKindName(finding.kind)); }
  bool cancelled() const override { return cancel; }

  std::function<void()> on_progress;
  std::vector<std::string> kinds;
  bool cancel = false;
};

class CheckRunnerTest : public EngineTest {
 protected:
  static constexpr uint32_t kBlocks = 3000;

  CheckRunnerTest() {
    EXPECT_THAT(Create(kBlocks), IsOk());
    std::vector<uint32_t> cblocks;
    std::vector<uint64_t> oblocks;
    for (uint32_t i = 0; i < 2000; ++i) {
      cblocks.push_back(i);
      oblocks.push_back(i);
    }
    EXPECT_THAT(Do(Insert(cblocks, oblocks)), IsOk());
    EXPECT_THAT(Commit(), IsOk());
  }
  // The runner goes before the engine, as in the daemon.
  ~CheckRunnerTest() override {
    Run();
    runner_.reset();
  }

  absl::StatusOr<CheckResult> Check(CheckRequest request) {
    Outcome<absl::StatusOr<CheckResult>> outcome;
    runner_->Start(std::move(request), watcher_, outcome.callback());
    Run();
    return outcome.get();
  }
  absl::StatusOr<CheckResult> CheckCache(bool clear = false) {
    return Check({.cache = "c", .path = "", .clear_needs_check = clear});
  }
  absl::StatusOr<CheckResult> CheckPath(bool clear = false) {
    return Check({.cache = "", .path = "/meta", .clear_needs_check = clear});
  }
  FaultyDevice& device() { return bank_.at("/meta"); }
  DiskSuperblock OnMedium() {
    const std::vector<std::byte> image = device().CrashImage(0);  // What was flushed.
    return DiskView<DiskSuperblock>(std::span(image));
  }
  // A byte of the first mapping block, which holds cblock 0; again, and it is as before.
  void FlipMappings() { FlipArray(&Superblock::mapping_root); }
  void FlipDiscards() { FlipArray(&Superblock::discard_root); }
  void FlipArray(MetadataBlock Superblock::*root) {
    const absl::StatusOr<std::shared_ptr<CacheSnapshot>> snapshot = Snapshot();
    ASSERT_THAT(snapshot, IsOk());
    AlignedBuffer block(kMetadataBlockBytes);
    ASSERT_THAT(device().Read(BlockOffsetBytes((*snapshot)->superblock().*root), block.span()), IsOk());
    FlipBlock(DiskView<DiskIndexNode>(block.span()).values[0].load());
  }
  void FlipBlock(uint64_t location) {
    AlignedBuffer block(kMetadataBlockBytes);
    ASSERT_THAT(device().Read(location * kMetadataBlockBytes, block.span()), IsOk());
    block.span()[100] ^= std::byte{1};
    ASSERT_THAT(device().Write(location * kMetadataBlockBytes, block.span()), IsOk());
    ASSERT_THAT(device().Flush(), IsOk());
  }
  void SetFlagOnMedium() {
    AlignedBuffer block(kMetadataBlockBytes);
    ASSERT_THAT(device().Read(0, block.span()), IsOk());
    auto& disk = MutableDiskView<DiskSuperblock>(block.span());
    disk.flags.store(disk.flags.load() | kFlagNeedsCheck);
    SealBlock(BlockType::kSuperblock, MetadataBlock(0), block.span());
    ASSERT_THAT(device().Write(0, block.span()), IsOk());
    ASSERT_THAT(device().Flush(), IsOk());
  }

  std::unique_ptr<CheckRunner> runner_ =
      std::make_unique<CheckRunner>(*engine_, bank_.opener(), executors_, executors_.readers());
  std::shared_ptr<Watcher> watcher_ = std::make_shared<Watcher>();
};

TEST_F(CheckRunnerTest, OpenCacheIsSoundWhileMutationsAndCommitsGoOn) {
  uint32_t step = 0;
  watcher_->on_progress = [&] {
    for (int i = 0; i < 20; ++i, ++step) {
      const uint32_t cblock = step * 97 % 2000;
      ASSERT_THAT(Do(Mark({cblock})), IsOk());  // Each is a commit of its own.
      if (step % 3 == 0) {
        ASSERT_THAT(Do(Clear({cblock}, {cblock})), IsOk());
      }
    }
  };
  const uint64_t commits = Commits();
  const absl::StatusOr<CheckResult> result = CheckCache();
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(watcher_->kinds, testing::IsEmpty());
  EXPECT_EQ(result->outcome.summary.mapped, 2000u);
  EXPECT_EQ(result->outcome.summary.dirty, 0u) << "of the state that it began with";
  EXPECT_GT(Commits(), commits + 100);
  EXPECT_EQ(result->incarnation, Info().incarnation);
  EXPECT_GT(result->transaction, 0u);
}

TEST_F(CheckRunnerTest, ItChecksWhatIsOnTheDeviceNotWhatIsInMemory) {
  ASSERT_THAT(Lookup({0}), IsOk());
  FlipMappings();
  const absl::StatusOr<CheckResult> result = CheckCache();
  ASSERT_THAT(result, IsOk());
  EXPECT_THAT(watcher_->kinds, testing::ElementsAre("array_block_damaged"));
  EXPECT_EQ(result->outcome.summary.count(Severity::kFatal), 1u);
  EXPECT_EQ(Info().state, CacheState::kNeedsCheck) << "damage is damage, whoever finds it";
  EXPECT_TRUE((OnMedium().flags.load() & kFlagNeedsCheck) != 0);
}

TEST_F(CheckRunnerTest, FailedReadIsFatalButNoDamage) {
  device().SetFaults({.fail_read_blocks = {OnMedium().mapping_root.load()}});
  const absl::StatusOr<CheckResult> result = CheckCache();
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->outcome.summary.count(Severity::kFatal), 1u);
  EXPECT_EQ(Info().state, CacheState::kOpen);
}

TEST_F(CheckRunnerTest, DamagedSuperblockUnderAnOpenCacheIsFound) {
  FlipBlock(0);
  ASSERT_THAT(CheckCache(), IsOk());
  EXPECT_THAT(watcher_->kinds, testing::ElementsAre("superblock_damaged"));
}

TEST_F(CheckRunnerTest, CloseEndsTheCheck) {
  bool closed = false;
  watcher_->on_progress = [&] {
    if (std::exchange(closed, true)) return;
    EXPECT_THAT(Close(), IsOk());
  };
  EXPECT_THAT(CheckCache(), HasReasonIs(Reason::kSnapshotRevoked));
}

TEST_F(CheckRunnerTest, CancelEndsTheCheck) {
  watcher_->on_progress = [&] { watcher_->cancel = true; };
  EXPECT_THAT(CheckCache(), StatusIs(absl::StatusCode::kCancelled));
  ASSERT_THAT(Close(), IsOk());
  watcher_->cancel = false;
  EXPECT_THAT(CheckPath(), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_FALSE(bank_.is_locked("/meta"));
}

TEST_F(CheckRunnerTest, FlagOfAnOpenCacheIsClearedOnceItIsSoundAgain) {
  FlipMappings();
  ASSERT_THAT(CheckCache(/*clear=*/true), IsOk());
  EXPECT_EQ(Info().state, CacheState::kNeedsCheck);
  EXPECT_TRUE((OnMedium().flags.load() & kFlagNeedsCheck) != 0) << "not cleared over damage";

  FlipMappings();
  const absl::StatusOr<CheckResult> result = CheckCache(/*clear=*/true);
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->outcome.needs_check_cleared);
  EXPECT_EQ(OnMedium().flags.load() & kFlagNeedsCheck, 0u);
  EXPECT_EQ(Info().state, CacheState::kNeedsCheck) << "until it is opened anew";
  EXPECT_THAT(Do(Mark({1})), HasReasonIs(Reason::kNeedsCheck));
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());
  EXPECT_THAT(Do(Mark({1})), IsOk());
}

TEST_F(CheckRunnerTest, WithoutTheFlagThereIsNothingToClear) {
  const absl::StatusOr<CheckResult> result = CheckCache(/*clear=*/true);
  ASSERT_THAT(result, IsOk());
  EXPECT_FALSE(result->outcome.needs_check_cleared);
  EXPECT_EQ(Info().state, CacheState::kOpen);
}

TEST_F(CheckRunnerTest, PathIsCheckedAndItsFlagClearedDurably) {
  EXPECT_THAT(CheckPath(), HasReasonIs(Reason::kDeviceInUse)) << "while it is open";
  ASSERT_THAT(Close(), IsOk());
  SetFlagOnMedium();
  EXPECT_THAT(Open(), HasReasonIs(Reason::kNeedsCheck));
  absl::StatusOr<CheckResult> result = CheckPath();
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->outcome.summary.needs_check);
  EXPECT_FALSE(result->outcome.needs_check_cleared) << "nobody asked";
  const uint64_t writes = device().writes();
  result = CheckPath(/*clear=*/true);
  ASSERT_THAT(result, IsOk());
  EXPECT_TRUE(result->outcome.needs_check_cleared);
  EXPECT_EQ(device().writes(), writes + 1);
  EXPECT_EQ(OnMedium().flags.load() & kFlagNeedsCheck, 0u);
  EXPECT_THAT(Open(), IsOk());
}

TEST_F(CheckRunnerTest, FlagOfADamagedPathStays) {
  FlipMappings();
  ASSERT_THAT(Close(), IsOk());
  SetFlagOnMedium();
  const absl::StatusOr<CheckResult> result = CheckPath(/*clear=*/true);
  ASSERT_THAT(result, IsOk());
  EXPECT_EQ(result->outcome.summary.count(Severity::kFatal), 1u);
  EXPECT_FALSE(result->outcome.needs_check_cleared);
  EXPECT_TRUE((OnMedium().flags.load() & kFlagNeedsCheck) != 0);
}

// Nothing fatal, and yet worse than a note.
TEST_F(CheckRunnerTest, FlagIsNotClearedOverWhatMustBeRepaired) {
  FlipMappings();
  ASSERT_THAT(CheckCache(), IsOk());
  FlipMappings();
  FlipDiscards();
  const auto expect_kept = [&](const absl::StatusOr<CheckResult>& result) {
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->outcome.summary.count(Severity::kFatal), 0u);
    EXPECT_EQ(result->outcome.summary.count(Severity::kRepairable), 1u);
    EXPECT_FALSE(result->outcome.needs_check_cleared);
    EXPECT_TRUE((OnMedium().flags.load() & kFlagNeedsCheck) != 0);
  };
  expect_kept(CheckCache(/*clear=*/true));
  ASSERT_THAT(Close(), IsOk());
  expect_kept(CheckPath(/*clear=*/true));
}

TEST_F(CheckRunnerTest, RequestsThatMakeNoSenseAreRefused) {
  EXPECT_THAT(Check({}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Check({.cache = "c", .path = "/meta"}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Check({.cache = "", .path = "meta"}), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Check({.cache = "other"}), HasReasonIs(Reason::kCacheNotOpen));
  EXPECT_THAT(Check({.cache = "", .path = "/none"}), HasReasonIs(Reason::kDeviceNotFound));
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open([](OpenOptions& options) { options.read_only = true; }), IsOk());
  EXPECT_THAT(CheckCache(/*clear=*/true), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(CheckCache(), IsOk());
}

TEST_F(CheckRunnerTest, ChecksThatWaitToRunOrToBeReadAreBounded) {
  struct Caller {
    std::shared_ptr<Watcher> watcher = std::make_shared<Watcher>();
    Outcome<absl::StatusOr<CheckResult>> outcome;
  };
  std::vector<Caller> callers(CheckRunner::kMaxChecks);
  for (Caller& caller : callers) {
    runner_->Start({.cache = "c", .path = ""}, caller.watcher, caller.outcome.callback());
    EXPECT_FALSE(caller.outcome.ready());
  }
  Outcome<absl::StatusOr<CheckResult>> refused;
  runner_->Start({.cache = "c", .path = ""}, watcher_, refused.callback());
  EXPECT_THAT(refused.get(), HasReasonIs(Reason::kOverloaded)) << "at once: nothing has run";
  Run();
  for (const Caller& caller : callers) EXPECT_THAT(caller.outcome.get(), IsOk());
  EXPECT_THAT(CheckCache(), HasReasonIs(Reason::kOverloaded)) << "what they found is still kept";
  EXPECT_THAT(CheckPath(), HasReasonIs(Reason::kOverloaded));
  callers.pop_back();
  EXPECT_THAT(CheckCache(), IsOk());
}

TEST_F(CheckRunnerTest, ChecksAreCounted) {
  ASSERT_THAT(CheckCache(), IsOk());
  FlipMappings();
  ASSERT_THAT(CheckCache(), IsOk());
  watcher_->cancel = true;
  EXPECT_FALSE(CheckCache().ok());
  const CacheMetrics metrics = engine().Metrics().at(0);
  EXPECT_EQ(metrics.counters->checks_ended.load(), 2u);
  EXPECT_EQ(metrics.counters->checks_failed.load(), 1u);
  EXPECT_EQ(metrics.counters->last_check_errors.load(), 1u);
  EXPECT_GT(metrics.counters->last_check_seconds.load(), 0);
}

}  // namespace
}  // namespace dmcached
