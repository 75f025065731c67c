#include <chrono>

#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

class EngineLifecycleTest : public EngineTest {};

TEST_F(EngineLifecycleTest, WhatIsInsertedIsThereAfterCloseAndOpen) {
  ASSERT_THAT(Create(1000), IsOk());
  ASSERT_THAT(Do(Insert({5, 700}, {50, 60})), IsOk());
  ASSERT_THAT(Do(Mark({700})), IsOk());
  ASSERT_THAT(Close(), IsOk());
  EXPECT_THAT(engine().Get("c"), HasReasonIs(Reason::kCacheNotOpen));
  EXPECT_FALSE(bank_.is_locked("/meta"));

  const auto opened = Open();
  ASSERT_THAT(opened, IsOk());
  EXPECT_FALSE(opened->adopted);
  EXPECT_EQ(opened->info.state, CacheState::kOpen);
  EXPECT_EQ(opened->info.mapped_blocks, 2u);
  EXPECT_EQ(opened->info.dirty_blocks, 1u);
  const auto found = Lookup({5, 6, 700});
  ASSERT_THAT(found, IsOk());
  EXPECT_THAT(found->mapped, ElementsAre(1, 0, 1));
  EXPECT_THAT(found->oblocks, ElementsAre(50, 0, 60));
  EXPECT_THAT(found->dirty, ElementsAre(0, 0, 1));
}

TEST_F(EngineLifecycleTest, NamesAndPathsAreChecked) {
  for (const char* name : {"", "-a", "A", "a_b", "a.b"}) {
    EXPECT_THAT(Create(10, DirtyTracking::kExact, [&](CreateOptions& o) { o.name = name; }),
                HasReasonIs(Reason::kInvalidRequest))
        << name;
  }
  EXPECT_THAT(Create(10, DirtyTracking::kExact, [](CreateOptions& o) { o.name = std::string(64, 'a'); }),
              HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Create(10, DirtyTracking::kExact, [](CreateOptions& o) { o.metadata_path = "meta"; }),
              HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Open([](OpenOptions& o) { o.metadata_path = ""; }), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Open([](OpenOptions& o) { o.metadata_path = "/none"; }), HasReasonIs(Reason::kDeviceNotFound));
  EXPECT_TRUE(engine().List().empty());
  EXPECT_THAT(Create(10, DirtyTracking::kExact, [](CreateOptions& o) { o.name = std::string(63, 'a'); }), IsOk());
}

TEST_F(EngineLifecycleTest, WithoutThreadsLeftNothingIsOpenedAndALaterTrySucceeds) {
  executors_.set_out_of_threads(true);
  EXPECT_THAT(Create(10), HasReasonIs(Reason::kOverloaded));
  EXPECT_TRUE(engine().List().empty());
  EXPECT_FALSE(bank_.is_locked("/meta"));
  executors_.set_out_of_threads(false);
  EXPECT_THAT(Create(10), IsOk());
}

TEST_F(EngineLifecycleTest, OneNameAndOneDeviceAreOpenOnce) {
  ASSERT_THAT(Create(10), IsOk());
  EXPECT_THAT(Open(), HasReasonIs(Reason::kCacheExists));
  EXPECT_THAT(Open([](OpenOptions& o) { o.name = "d"; }), HasReasonIs(Reason::kDeviceInUse));
  EXPECT_EQ(engine().List().size(), 1u);
}

TEST_F(EngineLifecycleTest, ASecondOperationOnTheSameCacheIsPending) {
  ASSERT_THAT(Create(10), IsOk());
  Outcome<absl::Status> first;
  Outcome<absl::Status> second;
  engine().Close("c", {}, first.callback());
  engine().Close("c", {}, second.callback());
  const MutationOutcome resize = Send(Resize{.cache_blocks = 20, .origin_size = {}});
  Run();
  EXPECT_THAT(first.get(), IsOk());
  EXPECT_THAT(second.get(), HasReasonIs(Reason::kOperationPending));
  EXPECT_THAT(resize.get(), HasReasonIs(Reason::kOperationPending));
}

TEST_F(EngineLifecycleTest, WhatIsUnderWayWhenTheEngineGoesIsAnswered) {
  ASSERT_THAT(Create(10), IsOk());
  const MutationOutcome resize = Send(Resize{.cache_blocks = 20, .origin_size = {}});
  Kill();
  EXPECT_TRUE(resize.ready());
  Start();
  ASSERT_THAT(Open(), IsOk());
  Outcome<absl::Status> closed;
  engine().Close("c", {}, closed.callback());
  Kill();
  EXPECT_TRUE(closed.ready());
}

TEST_F(EngineLifecycleTest, ALookUpThatNobodyHasBegunKeepsNothingOfAnEngineThatIsGone) {
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Do(Insert({1}, {1})), IsOk());
  ASSERT_THAT(Close(), IsOk());
  ASSERT_THAT(Open(), IsOk());  // Nothing is resident now.
  Outcome<absl::StatusOr<LookupResult>> found;
  const uint32_t cblock = 1;
  engine().Lookup("c", {.cblocks = {&cblock, 1}}, found.callback());
  ASSERT_FALSE(found.ready());
  engine_.reset();
  EXPECT_FALSE(bank_.is_locked("/meta"));
  Run();
  EXPECT_THAT(found.get(), HasReasonIs(Reason::kCacheNotOpen));
}

TEST_F(EngineLifecycleTest, CacheBlocksAndOriginSizeComeFromTheDevices) {
  bank_.Add("/fast", 100 * 65536 + 4096);
  bank_.Add("/origin", 500 * 65536);
  const auto with_devices = [](CreateOptions& o) {
    o.fast_path = "/fast";
    o.origin_path = "/origin";
    o.origin_size.reset();
  };
  EXPECT_THAT(Create(101, DirtyTracking::kExact, with_devices), HasReasonIs(Reason::kGeometryMismatch));
  const auto created = Create(0, DirtyTracking::kExact, [&](CreateOptions& o) {
    with_devices(o);
    o.cache_blocks.reset();
  });
  ASSERT_THAT(created, IsOk());
  EXPECT_EQ(created->superblock.cache_blocks, 100u);
  EXPECT_EQ(created->origin_size, Sectors(500 * 128));
  EXPECT_TRUE(bank_.is_locked("/fast"));
  EXPECT_TRUE(bank_.is_locked("/origin"));
  EXPECT_THAT(Do(Insert({1}, {500})), HasReasonIs(Reason::kOblockOutOfRange));
  ASSERT_THAT(Close(), IsOk());
  EXPECT_FALSE(bank_.is_locked("/fast"));

  bank_.Add("/small", 50 * 65536);
  EXPECT_THAT(Open([](OpenOptions& o) { o.fast_path = "/small"; }), HasReasonIs(Reason::kGeometryMismatch));
  EXPECT_FALSE(bank_.is_locked("/meta"));
}

TEST_F(EngineLifecycleTest, ValidateOnlyChangesNothing) {
  const std::vector<std::byte> before = bank_.at("/meta").Image();
  EXPECT_THAT(Create(10, DirtyTracking::kExact, [](CreateOptions& o) { o.validate_only = true; }), IsOk());
  EXPECT_TRUE(engine().List().empty());
  EXPECT_FALSE(bank_.is_locked("/meta"));
  EXPECT_EQ(bank_.at("/meta").Image(), before);
  EXPECT_EQ(bank_.allocations(), 0);
  EXPECT_THAT(Create(10), IsOk());
  EXPECT_EQ(bank_.allocations(), 1);
}

TEST_F(EngineLifecycleTest, ACacheThatCannotBeOpenedStaysListedWhenAskedTo) {
  EXPECT_THAT(Open([](OpenOptions& o) { o.keep_if_failed = true; }), HasReasonIs(Reason::kNotFormatted));
  ASSERT_EQ(engine().List().size(), 1u);
  EXPECT_EQ(Info().state, CacheState::kFailed);
  EXPECT_NE(Info().last_error, "");
  EXPECT_THAT(Do(Mark({1})), HasReasonIs(Reason::kCacheFailed));

  // Another attempt finds the path that the name has.
  bank_.Add("/elsewhere", kMetadataBytes);
  ASSERT_THAT(Create(10, DirtyTracking::kExact,
                     [](CreateOptions& o) {
                       o.name = "d";
                       o.metadata_path = "/elsewhere";
                     }),
              IsOk());
  Outcome<absl::Status> closed;
  engine().Close("d", {}, closed.callback());
  Run();
  bank_.Replace("/meta", bank_.at("/elsewhere").Image());
  EXPECT_THAT(Open([](OpenOptions& o) { o.metadata_path = ""; }), IsOk());
  EXPECT_EQ(Info().state, CacheState::kOpen);
}

TEST_F(EngineLifecycleTest, TheNextTryKeepsWhatTheFirstOneWasTold) {
  bank_.Add("/fast", 100 * 128 * 512);
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Close(), IsOk());
  const std::vector<std::byte> image = bank_.at("/meta").Image();
  bank_.Add("/meta", kMetadataBytes);
  EXPECT_THAT(Open([](OpenOptions& o) {
                o.keep_if_failed = true;
                o.read_only = true;
                o.dirty_tracking = DirtyTracking::kConservative;
                o.fast_path = "/fast";
              }),
              HasReasonIs(Reason::kNotFormatted));
  bank_.Replace("/meta", image);
  const auto again = [&](const char* identity) {
    return Open([&](OpenOptions& o) {
      o.metadata_path = "";
      o.old_callers_gone = true;
      o.expected_identity = identity;
    });
  };
  EXPECT_THAT(again("other"), HasReasonIs(Reason::kIdentityMismatch));
  ASSERT_THAT(again(""), IsOk()) << "what a failed try asked for is not kept";
  EXPECT_EQ(Info().state, CacheState::kReadOnly);
  EXPECT_EQ(Info().dirty_tracking, DirtyTracking::kConservative);
  EXPECT_EQ(Info().fast_path, "/fast");
  EXPECT_EQ(bank_.at("/meta").writes(), 0u);
}

TEST_F(EngineLifecycleTest, OldCallersGoneLiftsTheHoldoffOfAnOpenThatFailed) {
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Close(), IsOk());
  const std::vector<std::byte> image = bank_.at("/meta").Image();
  bank_.Add("/meta", kMetadataBytes);
  EXPECT_FALSE(Open([](OpenOptions& o) { o.keep_if_failed = true; }).ok());
  bank_.Replace("/meta", image);
  ASSERT_THAT(Open([](OpenOptions& o) { o.old_callers_gone = true; }), IsOk());
  EXPECT_THAT(Reserve(1), IsOk());
}

TEST_F(EngineLifecycleTest, AnOpenWithoutAPathOfABusyCacheIsPending) {
  ASSERT_THAT(Create(10), IsOk());
  Outcome<absl::Status> closed;
  engine().Close("c", {}, closed.callback());
  Outcome<absl::StatusOr<OpenResult>> opened;
  engine().Open({.name = "c", .metadata_path = ""}, opened.callback());
  Run();
  EXPECT_THAT(closed.get(), IsOk());
  EXPECT_THAT(opened.get(), HasReasonIs(Reason::kOperationPending));
}

TEST_F(EngineLifecycleTest, AnOriginDoesNotGrowBeyondItsDevice) {
  bank_.Add("/origin", 100 * 128 * 512);
  ASSERT_THAT(Create(10, DirtyTracking::kExact,
                     [](CreateOptions& o) {
                       o.origin_path = "/origin";
                       o.origin_size = Sectors(50 * 128);
                     }),
              IsOk());
  EXPECT_THAT(Do(Resize{.origin_size = Sectors(101 * 128)}), HasReasonIs(Reason::kGeometryMismatch));
  EXPECT_THAT(Do(Insert({1}, {50})), HasReasonIs(Reason::kOblockOutOfRange));
  EXPECT_THAT(Do(Resize{.origin_size = Sectors(100 * 128)}), IsOk());
  EXPECT_THAT(Do(Insert({1}, {99})), IsOk());
}

TEST_F(EngineLifecycleTest, AScrapeKeepsNoDeviceOpen) {
  ASSERT_THAT(Create(10), IsOk());
  const auto scraped = engine().Metrics();
  ASSERT_TRUE(scraped[0].devices.contains("metadata"));
  ASSERT_THAT(Close(), IsOk());
  EXPECT_FALSE(bank_.is_locked("/meta"));
}

TEST_F(EngineLifecycleTest, CloseRefusesDirtyMappingsIfAskedTo) {
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Do(Insert({1}, {1}, /*dirty=*/true)), IsOk());
  EXPECT_THAT(Close({.require_no_dirty = true}), HasReasonIs(Reason::kDirtyBlocks));
  EXPECT_EQ(Info().state, CacheState::kOpen);
  ASSERT_THAT(Do(Clear({1}, {1})), IsOk());
  EXPECT_THAT(Close({.require_no_dirty = true}), IsOk());
}

TEST_F(EngineLifecycleTest, CloseFinishesWhatWasSentBeforeAndRefusesWhatComesAfter) {
  ASSERT_THAT(Create(10), IsOk());
  const MutationOutcome before = Send(Insert({1}, {1}, /*dirty=*/true));
  Outcome<absl::Status> closed;
  engine().Close("c", {}, closed.callback());
  const MutationOutcome after = Send(Insert({2}, {2}));
  Run();
  EXPECT_THAT(before.get(), IsOk());
  EXPECT_THAT(closed.get(), IsOk());
  EXPECT_THAT(after.get(), HasReasonIs(Reason::kCacheNotOpen));
  ASSERT_THAT(Open(), IsOk());
  EXPECT_EQ(Info().mapped_blocks, 1u);
}

TEST_F(EngineLifecycleTest, ConservativeCacheIsCleanOnlyAfterAClose) {
  ASSERT_THAT(Create(10, DirtyTracking::kConservative), IsOk());
  ASSERT_THAT(Do(Insert({1}, {1})), IsOk());
  ASSERT_THAT(Commit(), IsOk());
  EXPECT_FALSE(Info().superblock.clean_shutdown);
  ASSERT_THAT(Close(), IsOk());
  auto opened = Open([](OpenOptions& o) { o.dirty_tracking = DirtyTracking::kConservative; });
  ASSERT_THAT(opened, IsOk());
  EXPECT_FALSE(opened->adopted);
  ASSERT_THAT(Do(Clear({1}, {1})), IsOk());
  Kill();
  Start();
  opened = Open();
  ASSERT_THAT(opened, IsOk());
  EXPECT_TRUE(opened->adopted);
  EXPECT_EQ(opened->info.dirty_blocks, 1u);
}

TEST_F(EngineLifecycleTest, DeleteWipesTheSuperblockOnlyIfAskedTo) {
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Do(Insert({1}, {1}, /*dirty=*/true)), IsOk());
  const auto remove = [&](DeleteOptions options) {
    Outcome<absl::Status> outcome;
    engine().Delete("c", options, outcome.callback());
    Run();
    return outcome.get();
  };
  EXPECT_THAT(remove({}), HasReasonIs(Reason::kDirtyBlocks));
  EXPECT_THAT(remove({.discard_dirty = true}), IsOk());
  ASSERT_THAT(Open(), IsOk());
  EXPECT_THAT(remove({.wipe = true, .discard_dirty = true}), IsOk());
  EXPECT_THAT(Open(), HasReasonIs(Reason::kNotFormatted));
}

TEST_F(EngineLifecycleTest, ProbeReadsAnOpenDevice) {
  Outcome<absl::StatusOr<ProbeResult>> empty;
  engine().Probe("/meta", empty.callback());
  Run();
  ASSERT_THAT(empty.get(), IsOk());
  EXPECT_FALSE(empty.get()->superblock.has_value());
  EXPECT_EQ(empty.get()->device_bytes, kMetadataBytes);

  ASSERT_THAT(Create(77), IsOk());
  Outcome<absl::StatusOr<ProbeResult>> formatted;
  engine().Probe("/meta", formatted.callback());
  Run();
  ASSERT_THAT(formatted.get(), IsOk());
  ASSERT_TRUE(formatted.get()->superblock.has_value());
  EXPECT_EQ(formatted.get()->superblock->cache_blocks, 77u);
}

TEST_F(EngineLifecycleTest, ShutdownClosesEverythingAndRefusesNewWork) {
  bank_.Add("/other", kMetadataBytes);
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Create(10, DirtyTracking::kConservative,
                     [](CreateOptions& o) {
                       o.name = "d";
                       o.metadata_path = "/other";
                     }),
              IsOk());
  const MutationOutcome accepted = Send(Insert({1}, {1}, /*dirty=*/true));
  Outcome<absl::Status> done;
  engine().Shutdown(done.callback());
  const MutationOutcome late = Send(Insert({2}, {2}));
  Run();
  EXPECT_THAT(accepted.get(), IsOk());
  EXPECT_THAT(done.get(), IsOk());
  EXPECT_THAT(late.get(), HasReasonIs(Reason::kShuttingDown));
  EXPECT_TRUE(engine().List().empty());
  EXPECT_FALSE(bank_.is_locked("/meta"));
  EXPECT_FALSE(bank_.is_locked("/other"));
}

TEST_F(EngineLifecycleTest, MetricsFollowStateDevicesAndPolicy) {
  bank_.Add("/fast", 100 * 65536);
  ASSERT_THAT(Create(10, DirtyTracking::kConservative, [](CreateOptions& o) { o.fast_path = "/fast"; }), IsOk());
  CacheMetrics metrics = engine().Metrics()[0];
  EXPECT_EQ(metrics.name, "c");
  EXPECT_EQ(metrics.state, CacheState::kOpen);
  EXPECT_EQ(metrics.metadata_version, 2u);
  EXPECT_EQ(metrics.dirty_tracking, DirtyTracking::kConservative);
  EXPECT_EQ(metrics.devices.count("metadata"), 1u);
  EXPECT_EQ(metrics.devices.count("fast"), 1u);
  EXPECT_EQ(metrics.devices.count("origin"), 0u);
  EXPECT_EQ(metrics.policy, "");
  metrics.devices.clear();
  ASSERT_THAT(Do(BeginHints{.policy_name = "smq"}), IsOk());
  EXPECT_EQ(engine().Metrics()[0].policy, "smq");
  ASSERT_THAT(Close(), IsOk());
  EXPECT_TRUE(engine().Metrics().empty());
  EXPECT_THAT(Open([](OpenOptions& o) {
                o.metadata_path = "/none";
                o.keep_if_failed = true;
              }),
              HasReasonIs(Reason::kDeviceNotFound));
  EXPECT_EQ(engine().Metrics()[0].state, CacheState::kFailed);
  EXPECT_TRUE(engine().Metrics()[0].devices.empty());
}

TEST_F(EngineLifecycleTest, ShutdownOfNothingCallsBack) { EXPECT_THAT(Shutdown(), IsOk()); }

TEST_F(EngineLifecycleTest, ShutdownWaitsForAnOpenUnderWay) {
  ASSERT_THAT(Create(10), IsOk());
  ASSERT_THAT(Close(), IsOk());
  Outcome<absl::StatusOr<OpenResult>> opened;
  engine().Open({.name = "c", .metadata_path = "/meta"}, opened.callback());
  EXPECT_THAT(Shutdown(), IsOk());
  EXPECT_THAT(opened.get(), IsOk());
  EXPECT_FALSE(bank_.is_locked("/meta"));
}

TEST_F(EngineLifecycleTest, ResizeKeepsReservationsOfWhatRemains) {
  ASSERT_THAT(Create(20), IsOk());
  const auto reserved = Reserve(20);
  ASSERT_THAT(reserved, IsOk());
  ASSERT_THAT(Do(Resize{.cache_blocks = 5, .origin_size = {}}), IsOk());
  EXPECT_EQ(Info().superblock.cache_blocks, 5u);
  EXPECT_EQ(Info().reserved_blocks, 5u);
  EXPECT_THAT(Reserve(1), HasReasonIs(Reason::kNoFreeCblocks));
}

}  // namespace
}  // namespace dmcached
