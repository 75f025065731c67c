// What the daemon does by itself after a time: commits, and the recovery of a failed cache.
#include <chrono>
#include <functional>
#include <memory>

#include "tests/e2e/daemon.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/switched_device.h"

namespace dmcached {
namespace {

constexpr char kTimerCommits[] = "dmcached_commits_total{cache=\"c1\",trigger=\"timer\"}";

class TimerTest : public DaemonTest {
 protected:
  TimerTest() {
    config_.metrics = "127.0.0.1:0";
    opener_ = OpenSwitched(faults_);
  }
  // Waits until it is true; a failure after half a minute.
  void Await(const std::function<bool()>& reached) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!reached()) ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  }
  Series Metrics() { return Scrape(app().metrics_address()); }

  const std::shared_ptr<DeviceSwitch> faults_ = std::make_shared<DeviceSwitch>();
};

TEST_F(TimerTest, WhatIsOnlyAppliedBecomesDurableByItself) {
  config_.commit_interval_ms = 10;
  Start();
  CreateStandard();
  const v1::Cache before = Get();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  Await([&] { return !Get().uncommitted_changes(); });
  EXPECT_GT(Get().durable_transaction(), before.durable_transaction());
  EXPECT_GE(Metrics().At(kTimerCommits), 1);
}

TEST_F(TimerTest, NothingIsCommittedWhereNothingChanged) {
  config_.commit_interval_ms = 10;
  Start();
  CreateStandard();
  NewMetadata("busy");
  Create(CreateRequest("busy", "busy"));
  // The other cache's commits show that the interval has passed, several times.
  for (uint32_t i = 0; i < 3; ++i) {
    v1::InsertMappingsRequest request;
    request.set_cache("busy");
    request.add_cblocks(i);
    request.add_oblocks(i);
    *request.mutable_options() = Options("busy");
    Context context;
    v1::InsertMappingsResponse response;
    ASSERT_THAT(metadata().InsertMappings(&context, request, &response), Succeeds());
    Await([&] { return !Get("busy").uncommitted_changes(); });
  }
  EXPECT_EQ(Metrics().At(kTimerCommits), 0);
}

TEST_F(TimerTest, AFailedCacheIsOpenedAgainByItself) {
  config_.commit_interval_ms = 3600000;
  config_.recover_interval_ms = 10;
  Start();
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  const uint64_t incarnation = Get().incarnation();
  faults_->fail_writes = true;
  EXPECT_FALSE(Insert({{2, 20}}, /*dirty=*/true).ok());
  EXPECT_EQ(Get().state() == v1::Cache::STATE_OPEN, false) << "it cannot be opened while writes fail";
  faults_->fail_writes = false;
  Await([&] { return Get().state() == v1::Cache::STATE_OPEN; });
  EXPECT_NE(Get().incarnation(), incarnation);
  EXPECT_EQ(Get().last_error(), "");
  EXPECT_EQ(List(true), (Pairs{{1, 10}}));
  EXPECT_THAT(Insert({{3, 30}}, /*dirty=*/true), Succeeds());
}

}  // namespace
}  // namespace dmcached
