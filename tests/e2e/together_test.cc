// Everything at once: writers, readers, lists, commits, checks, scrapes, and another cache that opens and closes.
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "dmcached/v1/maintenance_service.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/scrape.h"

namespace dmcached {
namespace {

constexpr uint32_t kWriters = 4;
constexpr uint32_t kBlocksPerWriter = 100;
constexpr uint32_t kRounds = 150;

class TogetherTest : public DaemonTest {
 protected:
  TogetherTest() {
    config_.metrics = "127.0.0.1:0";
    config_.commit_interval_ms = 5;
    Start();
    CreateStandard();
    NewMetadata("other");
    maintenance_ = v1::MaintenanceService::NewStub(
        grpc::CreateChannel(app().addresses().front(), grpc::InsecureChannelCredentials()));
  }

  // Inserts, marks and removes blocks of its own; what it was promised about them in the end: mapped, or not.
  std::map<uint32_t, bool> Write(uint32_t writer) {
    std::map<uint32_t, bool> promised;
    for (uint32_t round = 0; round < kRounds; ++round) {
      const uint32_t cblock = writer * kBlocksPerWriter + round * 7 % kBlocksPerWriter;
      if (promised[cblock]) {
        EXPECT_THAT(Remove({{cblock, cblock}}, /*discard_dirty=*/true), Succeeds());
      } else {
        EXPECT_THAT(Insert({{cblock, cblock}}, /*dirty=*/true), Succeeds());
      }
      promised[cblock] = !promised[cblock];
    }
    return promised;
  }
  void CheckOnce() {
    v1::CheckRequest request;
    request.set_cache(kCache);
    Context context;
    const auto reader = maintenance_->Check(&context, request);
    for (v1::CheckResponse response; reader->Read(&response);) {
      for (const v1::CheckFinding& finding : response.findings()) {
        EXPECT_EQ(finding.severity(), v1::CHECK_SEVERITY_NOTE) << finding.message();
      }
    }
    EXPECT_THAT(reader->Finish(), Succeeds());
  }
  void OpenAndCloseAnother() {
    v1::CreateCacheRequest create = CreateRequest("c2", "other");
    create.set_force(true);
    Create(create);
    EXPECT_THAT(Close("c2"), Succeeds());
    v1::OpenCacheRequest open;
    open.set_name("c2");
    open.set_metadata_path(folder_.File("other"));
    Open(open);
    EXPECT_THAT(Close("c2"), Succeeds());
  }

  std::unique_ptr<v1::MaintenanceService::Stub> maintenance_;
};

TEST_F(TogetherTest, WhatWritersWerePromisedHoldsWhateverElseGoesOn) {
  std::vector<std::map<uint32_t, bool>> promised(kWriters);
  const std::vector<std::function<void()>> others = {[&] {
                                                       Lookup({1, 150, 399});
                                                     },
                                                     [&] { List(); },
                                                     [&] { List(/*dirty_only=*/true); },
                                                     [&] { EXPECT_THAT(Commit(), Succeeds()); },
                                                     [&] { CheckOnce(); },
                                                     [&] { OpenAndCloseAnother(); },
                                                     [&] { Scrape(app().metrics_address()); },
                                                     [&] { Get(); }};
  std::atomic<bool> stop{false};
  std::atomic<size_t> busy{0};
  {
    std::vector<std::jthread> threads;
    for (const std::function<void()>& once : others) {
      threads.emplace_back([&] {
        once();
        ++busy;
        while (!stop) once();
      });
    }
    std::vector<std::jthread> writers;
    for (uint32_t i = 0; i < kWriters; ++i) writers.emplace_back([&, i] { promised[i] = Write(i); });
    writers.clear();
    stop = true;
  }
  EXPECT_EQ(busy, others.size());
  Pairs expected;
  for (const auto& blocks : promised) {
    for (const auto& [cblock, mapped] : blocks) {
      if (mapped) expected.emplace_back(cblock, cblock);
    }
  }
  EXPECT_EQ(List(/*dirty_only=*/true), expected);
  ASSERT_THAT(Close(), Succeeds());
  OpenStandard();
  EXPECT_EQ(List(/*dirty_only=*/true), expected);
}

}  // namespace
}  // namespace dmcached
