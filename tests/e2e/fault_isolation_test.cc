// One of two caches is on a device that fails, shrinks or is slow: it says so, in answers, metrics and health, and
// comes back with everything that was acknowledged; the other one and the daemon notice nothing.
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/device/file_device.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/http_get.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/switched_device.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using grpc::health::v1::HealthCheckResponse;

constexpr char kOther[] = "c2";

// The standard cache has its device under a switch, the other one has not.
class FaultIsolationTest : public DaemonTest {
 protected:
  FaultIsolationTest() {
    config_.commit_interval_ms = 3600000;
    config_.recover_interval_ms = 0;
    config_.metrics = "127.0.0.1:0";
    opener_ = [this, switched = OpenSwitched(faults_)](
                  const DeviceRequest& request) -> absl::StatusOr<std::unique_ptr<BlockDevice>> {
      return request.path == folder_.File("metadata") ? switched(request) : OpenFileDevice(request, nullptr);
    };
  }
  ~FaultIsolationTest() override { faults_->Release(); }

  void StartBoth() {
    Start();
    CreateStandard();
    NewMetadata("other");
    Create(CreateRequest(kOther, "other"));
    ASSERT_THAT(Insert({{1, 10}, {1500, 20}}, /*dirty=*/true), Succeeds());
    AwaitHealth("cache/c1", HealthCheckResponse::SERVING);
    AwaitHealth("cache/c2", HealthCheckResponse::SERVING);
    ExpectOtherServes();
  }

  // Inserts, marks, commits, looks up; each time another block.
  void ExpectOtherServes() {
    const uint32_t cblock = next_cblock_++;
    v1::InsertMappingsRequest insert;
    insert.set_cache(kOther);
    insert.add_cblocks(cblock);
    insert.add_oblocks(cblock + 100);
    insert.add_dirty(true);
    *insert.mutable_options() = Options(kOther);
    {
      Context context;
      v1::InsertMappingsResponse response;
      ASSERT_THAT(metadata().InsertMappings(&context, insert, &response), Succeeds());
    }
    ASSERT_THAT(Commit(kOther), Succeeds());
    v1::LookupMappingsRequest lookup;
    lookup.set_cache(kOther);
    for (uint32_t earlier = 0; earlier <= cblock; ++earlier) lookup.add_cblocks(earlier);
    Context context;
    v1::LookupMappingsResponse response;
    ASSERT_THAT(metadata().LookupMappings(&context, lookup, &response), Succeeds());
    for (const bool mapped : response.mapped()) EXPECT_TRUE(mapped);
    EXPECT_EQ(Get(kOther).state(), v1::Cache::STATE_OPEN);
    EXPECT_EQ(Health("cache/c2"), HealthCheckResponse::SERVING);
    EXPECT_EQ(Health(""), HealthCheckResponse::SERVING);
    EXPECT_EQ(Health("dmcached.v1.CacheService"), HealthCheckResponse::SERVING);
    EXPECT_EQ(HttpGet(app().metrics_address(), "/healthz").status, 200);
    EXPECT_EQ(HttpGet(app().metrics_address(), "/readyz").status, 200);
    EXPECT_EQ(Metric("dmcached_cache_state{cache=\"c2\",state=\"open\"}"), 1);
    for (const std::string op : {"read", "write", "flush"}) {
      EXPECT_EQ(Metric("dmcached_device_errors_total{cache=\"c2\",device=\"metadata\",op=\"" + op + "\"}"), 0);
    }
  }

  HealthCheckResponse::ServingStatus Health(const std::string& service) {
    Context context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    if (!health().Check(&context, request, &response).ok()) return HealthCheckResponse::SERVICE_UNKNOWN;
    return response.status();
  }
  static void Await(const std::function<bool()>& there) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!there()) ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  }
  // Follows the state of a cache within a few ticks.
  void AwaitHealth(const std::string& service, HealthCheckResponse::ServingStatus status) {
    Await([&] { return Health(service) == status; });
  }
  double Metric(const std::string& series) { return Scrape(app().metrics_address()).At(series); }
  double Errors(const std::string& op) {
    return Metric("dmcached_device_errors_total{cache=\"c1\",device=\"metadata\",op=\"" + op + "\"}");
  }

  void ExpectFailedAndSaid(const std::string& op) {
    EXPECT_EQ(Get().state(), v1::Cache::STATE_FAILED);
    EXPECT_NE(Get().last_error(), "");
    EXPECT_EQ(Metric("dmcached_cache_state{cache=\"c1\",state=\"failed\"}"), 1);
    EXPECT_EQ(Metric("dmcached_cache_state{cache=\"c1\",state=\"open\"}"), 0);
    if (!op.empty()) {
      EXPECT_GE(Errors(op), 1);
    }
    AwaitHealth("cache/c1", HealthCheckResponse::NOT_SERVING);
    EXPECT_THAT(Commit(), FailsWith(Reason::kCacheFailed));
    ExpectOtherServes();
  }
  // `doubtful`: the mapping 2 -> 30 may have become durable.
  void ExpectBack(bool doubtful) {
    EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
    EXPECT_EQ(Get().last_error(), "");
    AwaitHealth("cache/c1", HealthCheckResponse::SERVING);
    EXPECT_EQ(Metric("dmcached_cache_state{cache=\"c1\",state=\"open\"}"), 1);
    const Pairs dirty = List(/*dirty_only=*/true);
    const Pairs sure = {{1, 10}, {1500, 20}};
    EXPECT_TRUE(dirty == sure || (doubtful && dirty == (Pairs{{1, 10}, {2, 30}, {1500, 20}})));
    EXPECT_THAT(Insert({{3, 40}}, /*dirty=*/true), Succeeds());
    ExpectOtherServes();
  }

  const std::shared_ptr<DeviceSwitch> faults_ = std::make_shared<DeviceSwitch>();
  uint32_t next_cblock_ = 0;
};

struct Fault {
  const char* name;
  const char* op;  // That fails.
  void (*begin)(DeviceSwitch&);
  bool doubtful;
};

const Fault kFaults[] = {
    {"Write", "write", [](DeviceSwitch& device) { device.fail_writes = true; }, false},
    {"Space", "write", [](DeviceSwitch& device) { device.no_space = true; }, false},
    {"FirstFlush", "flush", [](DeviceSwitch& device) { device.good_flushes = 0; }, false},
    {"LastFlush", "flush", [](DeviceSwitch& device) { device.good_flushes = 1; }, true},
};

void EndFaults(DeviceSwitch& device) {
  device.fail_writes = false;
  device.no_space = false;
  device.good_flushes = std::numeric_limits<int>::max();
}

class FailingDeviceTest : public FaultIsolationTest, public testing::WithParamInterface<Fault> {};

TEST_P(FailingDeviceTest, FailsItsCacheOnlyAndARecoveryBringsItBack) {
  StartBoth();
  GetParam().begin(*faults_);
  EXPECT_THAT(Insert({{2, 30}}, /*dirty=*/true),
              FailsWith(GetParam().doubtful ? Reason::kOutcomeUnknown : Reason::kLost));
  ExpectFailedAndSaid(GetParam().op);
  EXPECT_FALSE(Recover().ok()) << "the device still fails";
  ExpectFailedAndSaid("");
  EndFaults(*faults_);
  ASSERT_THAT(Recover(), Succeeds());
  ExpectBack(GetParam().doubtful);
}

TEST_P(FailingDeviceTest, FailsItsCacheOnlyAndItComesBackByItself) {
  config_.recover_interval_ms = 10;
  StartBoth();
  GetParam().begin(*faults_);
  EXPECT_FALSE(Insert({{2, 30}}, /*dirty=*/true).ok());
  AwaitHealth("cache/c1", HealthCheckResponse::NOT_SERVING);
  ExpectOtherServes();
  EndFaults(*faults_);
  Await([this] { return Get().state() == v1::Cache::STATE_OPEN; });
  ExpectBack(GetParam().doubtful);
}

INSTANTIATE_TEST_SUITE_P(All, FailingDeviceTest, testing::ValuesIn(kFaults),
                         [](const auto& fault) { return fault.param.name; });

TEST_F(FaultIsolationTest, ReadsThatFailFailTheirRequestsOnly) {
  StartBoth();
  Restart();
  OpenStandard();
  v1::OpenCacheRequest other;
  other.set_name(kOther);
  other.set_metadata_path(folder_.File("other"));
  other.set_old_callers_gone(true);
  Open(other);
  AwaitHealth("cache/c1", HealthCheckResponse::SERVING);
  AwaitHealth("cache/c2", HealthCheckResponse::SERVING);
  faults_->fail_reads = true;
  EXPECT_THAT(Remove({{1500, 20}}, /*discard_dirty=*/true), FailsWith(Reason::kIoError));
  EXPECT_GE(Errors("read"), 1);
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
  ExpectOtherServes();
  faults_->fail_reads = false;
  ExpectBack(/*doubtful=*/false);
}

TEST_F(FaultIsolationTest, AFileThatShrinksFailsItsCacheOnlyAndIsRefusedUntilItHasItsSizeAgain) {
  StartBoth();
  const std::string path = folder_.File("metadata");
  const std::vector<std::byte> sound = FileBytes(path);
  // The rest is gone: what is written beyond the end makes the file longer again, and leaves a hole.
  std::filesystem::resize_file(path, kMetadataBlockBytes);
  faults_->fail_writes = true;
  EXPECT_FALSE(Insert({{2, 30}}, /*dirty=*/true).ok());
  faults_->fail_writes = false;
  ExpectFailedAndSaid("write");
  const grpc::Status refused = Recover();
  EXPECT_THAT(refused, FailsWith(Reason::kMetadataCorrupt));
  EXPECT_THAT(refused.error_message(), testing::HasSubstr("the device has 1"));
  EXPECT_EQ(std::filesystem::file_size(path), kMetadataBlockBytes) << "a device that is too small was written to";
  ExpectFailedAndSaid("");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(sound.data()), static_cast<std::streamsize>(sound.size()));
  ASSERT_THAT(Recover(), Succeeds());
  ExpectBack(/*doubtful=*/false);
}

// A device that takes as long as it likes.
class SlowDeviceTest : public FaultIsolationTest {
 protected:
  static grpc::Status Within300Ms(const std::function<grpc::Status(grpc::ClientContext*)>& call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(300));
    return call(&context);
  }
  // The transfer goes on waiting; the cache itself is read, and changed by whoever need not wait for it.
  void ExpectOthersServed() {
    faults_->AwaitHeld();
    ExpectOtherServes();
    EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
    EXPECT_THAT(Lookup({1, 1500}).mapped(), testing::ElementsAre(true, true));
    EXPECT_THAT(Insert({{4, 50}}), Succeeds());
    EXPECT_EQ(Metric("dmcached_cache_state{cache=\"c1\",state=\"open\"}"), 1);
    EXPECT_EQ(Health("cache/c1"), HealthCheckResponse::SERVING);
  }
};

class SlowCommitTest : public SlowDeviceTest, public testing::WithParamInterface<Transfer> {};

TEST_P(SlowCommitTest, ASlowDeviceHoldsUpNobodyElseAndDeadlinesAreKept) {
  StartBoth();
  faults_->Hold(GetParam());
  const v1::InsertMappingsRequest insert = InsertRequest({{2, 30}}, /*dirty=*/true);
  v1::InsertMappingsResponse response;
  const grpc::Status late =
      Within300Ms([&](auto* context) { return metadata().InsertMappings(context, insert, &response); });
  EXPECT_EQ(late.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ExpectOthersServed();
  EXPECT_THAT(Lookup({2}).mapped(), testing::ElementsAre(true));
  faults_->Release();
  // The repeat tells what became of it.
  Context again;
  EXPECT_THAT(metadata().InsertMappings(&again, insert, &response), Succeeds());
  EXPECT_EQ(List(/*dirty_only=*/true), (Pairs{{1, 10}, {2, 30}, {1500, 20}}));
}

INSTANTIATE_TEST_SUITE_P(Transfers, SlowCommitTest, testing::Values(Transfer::kWrite, Transfer::kFlush),
                         [](const auto& tested) { return tested.param == Transfer::kWrite ? "Write" : "Flush"; });

// A list reads from the device; commits need not.
TEST_F(SlowDeviceTest, ASlowReadHoldsUpNobodyElseAndDeadlinesAreKept) {
  StartBoth();
  faults_->Hold(Transfer::kRead);
  const grpc::Status late = Within300Ms([&](auto* context) {
    v1::ListMappingsRequest request;
    request.set_cache(kCache);
    const auto stream = metadata().ListMappings(context, request);
    v1::ListMappingsResponse page;
    while (stream->Read(&page)) ADD_FAILURE() << "read in spite of the device";
    return stream->Finish();
  });
  EXPECT_EQ(late.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  ExpectOthersServed();
  EXPECT_THAT(Insert({{2, 30}}, /*dirty=*/true), Succeeds());
  faults_->Release();
  EXPECT_EQ(List(), (Pairs{{1, 10}, {2, 30}, {4, 50}, {1500, 20}}));
}

}  // namespace
}  // namespace dmcached
