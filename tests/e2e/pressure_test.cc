// What callers are told while a device is slow, while an operation is under way, at a shutdown, and when space is
// short.
#include <memory>
#include <thread>

#include "grpcpp/create_channel.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/flood.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/switched_device.h"

namespace dmcached {
namespace {

class PressureTest : public DaemonTest {
 protected:
  PressureTest() {
    config_.commit_interval_ms = 3600000;
    config_.metrics = "127.0.0.1:0";
    opener_ = OpenSwitched(device_);
    Start();
  }
  ~PressureTest() override { device_->Release(); }

  const std::shared_ptr<DeviceSwitch> device_ = std::make_shared<DeviceSwitch>();
};

TEST_F(PressureTest, LookupsAndOtherReadsDoNotWaitForAFlush) {
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  device_->Hold();
  grpc::Status committed;
  std::jthread caller([&] { committed = Commit(); });
  device_->AwaitHeld();
  EXPECT_THAT(Lookup({1}).mapped(), testing::ElementsAre(true));
  EXPECT_TRUE(Get().uncommitted_changes());
  device_->Release();
  caller.join();
  EXPECT_THAT(committed, Succeeds());
}

TEST_F(PressureTest, OneLifecycleOperationAtATime) {
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  device_->Hold();
  grpc::Status closed;
  std::jthread caller([&] { closed = Close(); });
  device_->AwaitHeld();
  EXPECT_THAT(Close(), FailsWith(Reason::kOperationPending));
  v1::OpenCacheRequest open;
  open.set_name(kCache);
  open.set_metadata_path(folder_.File("metadata"));
  Context context;
  v1::OpenCacheResponse response;
  EXPECT_THAT(caches().OpenCache(&context, open, &response), FailsWith(Reason::kOperationPending));
  device_->Release();
  caller.join();
  EXPECT_THAT(closed, Succeeds());
}

TEST_F(PressureTest, AShutdownRefusesNewWorkAndFinishesWhatWasAccepted) {
  CreateStandard();
  const v1::InsertMappingsRequest late = InsertRequest({{2, 20}});
  const v1::InsertMappingsRequest accepted = InsertRequest({{1, 10}}, /*dirty=*/true);
  device_->Hold();
  grpc::Status inserted;
  std::jthread caller([&] {
    Context context;
    v1::InsertMappingsResponse response;
    inserted = metadata().InsertMappings(&context, accepted, &response);
  });
  device_->AwaitHeld();
  std::jthread stopper([&] { EXPECT_TRUE(app().Shutdown().ok()); });
  // The shutdown begins on another thread; until it has, the insert would be accepted, so something harmless asks.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  grpc::Status asked;
  do {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    Context context;
    v1::GetStatsRequest request;
    request.set_cache(kCache);
    v1::GetStatsResponse response;
    asked = metadata().GetStats(&context, request, &response);
  } while (asked.ok());
  EXPECT_THAT(asked, FailsWith(Reason::kShuttingDown));
  Context context;
  v1::InsertMappingsResponse response;
  EXPECT_THAT(metadata().InsertMappings(&context, late, &response), FailsWith(Reason::kShuttingDown));
  device_->Release();
  caller.join();
  EXPECT_THAT(inserted, Succeeds());
  stopper.join();
  Restart();
  OpenStandard();
  EXPECT_EQ(List(true), (Pairs{{1, 10}}));
}

TEST_F(PressureTest, AFullQueueOfReadsIsOverloadedAtOnce) {
  Stop();
  opener_ = [inner = OpenSwitched(device_), gate = device_](const DeviceRequest& request) {
    if (!request.exclusive) gate->PassGate();  // A probe.
    return inner(request);
  };
  Start();
  CreateStandard();
  device_->Hold();
  constexpr size_t kCalls = 2000;
  v1::ProbeCacheRequest probe;
  probe.set_metadata_path(folder_.File("metadata"));
  const Flood<v1::ProbeCacheRequest, v1::ProbeCacheResponse> flood(
      kCalls, probe, [this](auto... call) { caches().async()->ProbeCache(call...); });
  flood.AwaitRefusal();  // While nothing else can be answered.
  EXPECT_GT(flood.refused(), 0u);
  // Mutations do not use the readers.
  EXPECT_THAT(MarkDirty({kCacheBlocks}), FailsWith(Reason::kCblockOutOfRange));
  device_->Release();
  for (const grpc::Status& status : flood.Await()) {
    if (!status.ok()) {
      ASSERT_THAT(status, FailsWith(Reason::kOverloaded));
    }
  }
  EXPECT_LT(flood.refused(), kCalls);
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
}

TEST_F(PressureTest, TheOldestSnapshotGivesWayWhenSpaceIsShort) {
  constexpr uint32_t kMapped = 200000;
  v1::PlanCacheRequest plan_request;
  plan_request.set_origin_size_sectors(uint64_t{kMapped} * kBlockSectors);
  plan_request.set_fast_size_sectors(uint64_t{kMapped} * kBlockSectors);
  plan_request.set_data_block_size_sectors(kBlockSectors);
  Context plan_context;
  v1::PlanCacheResponse plan;
  ASSERT_THAT(caches().PlanCache(&plan_context, plan_request, &plan), Succeeds());
  NewMetadata("metadata", plan.metadata_bytes());
  v1::CreateCacheRequest create = CreateRequest();
  create.set_cache_blocks(kMapped);
  create.set_origin_size_sectors(uint64_t{kMapped} * kBlockSectors);
  Create(create);
  for (uint32_t begin = 0; begin < kMapped; begin += 50000) {
    Pairs pairs;
    for (uint32_t i = begin; i < begin + 50000; ++i) pairs.emplace_back(i, i);
    ASSERT_THAT(Insert(pairs), Succeeds());
  }

  v1::BeginHintsRequest begin_hints;
  begin_hints.set_cache(kCache);
  begin_hints.set_policy_name("smq");
  begin_hints.set_hint_size_bytes(4);
  Context begin_context;
  v1::BeginHintsResponse begun;
  ASSERT_THAT(metadata().BeginHints(&begin_context, begin_hints, &begun), Succeeds());

  v1::ListMappingsRequest request;
  request.set_cache(kCache);
  Context context;
  // A client that takes little at a time, so that the stream is far from its end.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65535);
  const auto slow = v1::MetadataService::NewStub(
      grpc::CreateCustomChannel(app().addresses()[0], grpc::InsecureChannelCredentials(), arguments));
  const auto reader = slow->ListMappings(&context, request);
  v1::ListMappingsResponse page;
  ASSERT_TRUE(reader->Read(&page));
  EXPECT_EQ(Scrape(app().metrics_address()).Of("dmcached_snapshots"), 1);
  // Every array block changes again and again, so the snapshot's blocks are needed.
  for (uint32_t round = 0; round < 4; ++round) {
    Pairs some;
    v1::SaveHintsRequest hints;
    hints.set_cache(kCache);
    hints.mutable_options()->set_durable(true);
    for (uint32_t i = round; i < kMapped; i += 500) {
      some.emplace_back(i, i);
      hints.add_cblocks(i);
      hints.add_hints(round);
    }
    ASSERT_THAT(Remove(some), Succeeds()) << round;
    Context save_context;
    v1::SaveHintsResponse saved;
    ASSERT_THAT(metadata().SaveHints(&save_context, hints, &saved), Succeeds()) << round;
  }
  uint64_t read = static_cast<uint64_t>(page.cblocks_size());
  std::string cursor = page.cursor();
  while (reader->Read(&page)) {
    read += static_cast<uint64_t>(page.cblocks_size());
    cursor = page.cursor();
  }
  EXPECT_THAT(reader->Finish(), FailsWith(Reason::kSnapshotRevoked));
  EXPECT_LT(read, kMapped);
  EXPECT_EQ(Scrape(app().metrics_address()).Of("dmcached_snapshots_revoked_total"), 1);
  // The cursor goes on in a new snapshot.
  request.set_cursor(cursor);
  Context second;
  const auto rest = metadata().ListMappings(&second, request);
  while (rest->Read(&page)) read += static_cast<uint64_t>(page.cblocks_size());
  EXPECT_THAT(rest->Finish(), Succeeds());
  EXPECT_LE(read, kMapped);
  EXPECT_GE(read, kMapped - 4 * (kMapped / 500));
}

TEST_F(PressureTest, AnInsertThatFindsNoSpaceIsRefusedWholeAndSmallerOnesPass) {
  constexpr uint32_t kEntries = 509;  // Of a mapping block.
  constexpr uint32_t kArrayBlocks = 20;
  // Room for copies of some of the mapping blocks, but not of all.
  NewMetadata("metadata", 42 * 4096);
  v1::CreateCacheRequest create = CreateRequest();
  create.set_cache_blocks(kArrayBlocks * kEntries);
  Create(create);
  const auto spread = [](uint32_t first, uint32_t count) {
    Pairs pairs;
    for (uint32_t i = 0; i < count; ++i) pairs.emplace_back((first + i) * kEntries, first + i);
    return pairs;
  };
  EXPECT_THAT(Insert(spread(0, kArrayBlocks)), FailsWith(Reason::kMetadataNoSpace));
  EXPECT_THAT(Insert(spread(0, kArrayBlocks), /*dirty=*/true), FailsWith(Reason::kMetadataNoSpace));
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
  EXPECT_EQ(Get().mapped_blocks(), 0u);
  const Series series = Scrape(app().metrics_address());
  EXPECT_EQ(series.At("dmcached_mutations_rejected_total{cache=\"c1\",reason=\"METADATA_NO_SPACE\"}"), 2);
  for (uint32_t first = 0; first < kArrayBlocks; first += 4) ASSERT_THAT(Insert(spread(first, 4)), Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  OpenStandard();
  EXPECT_EQ(List(), spread(0, kArrayBlocks));
}

}  // namespace
}  // namespace dmcached
