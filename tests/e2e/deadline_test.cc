// Requests that wait in the daemon: a deadline or a cancellation reaches them, and a full queue refuses more.
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/daemon.h"
#include "tests/e2e/flood.h"
#include "tests/e2e/switched_device.h"

namespace dmcached {
namespace {

constexpr uint32_t kEntriesPerBlock = 509;  // Of a mapping block.
constexpr uint32_t kHalf = 128;             // Blocks in half of the smallest block cache.

// A writer waits when the running transaction and the one being written both fill their half of the block cache: then
// every mutation behind it waits, too, until the test lets the flush go.
class DeadlineTest : public DaemonTest {
 protected:
  DeadlineTest() {
    config_.commit_interval_ms = 3600000;
    config_.block_cache_bytes = 1 << 20;
    opener_ = OpenSwitched(device_);
    Start();
    NewMetadata("metadata", 32 << 20);
    v1::CreateCacheRequest request = CreateRequest();
    request.set_cache_blocks(4 * kHalf * kEntriesPerBlock);
    Create(request);
    EXPECT_THAT(Insert({{0, 0}}, /*dirty=*/true), Succeeds());
  }
  ~DeadlineTest() override { device_->Release(); }

  // A mapping in each of `kHalf` and some more blocks, from block `first` on.
  v1::InsertMappingsRequest InHalf(uint32_t first, bool dirty) {
    Pairs pairs;
    for (uint32_t block = first; block < first + kHalf + 2; ++block) {
      pairs.emplace_back(block * kEntriesPerBlock + 1, block + 1);
    }
    return InsertRequest(pairs, dirty);
  }
  // Every mutation waits from here on.
  void Block() {
    const v1::InsertMappingsRequest committed = InHalf(1, /*dirty=*/true);
    const v1::InsertMappingsRequest running = InHalf(200, /*dirty=*/false);
    device_->Hold();
    waiting_.emplace_back([this, committed] {
      Context context;
      v1::InsertMappingsResponse response;
      EXPECT_THAT(metadata().InsertMappings(&context, committed, &response), Succeeds());
    });
    device_->AwaitHeld();
    Context context;
    v1::InsertMappingsResponse response;
    ASSERT_THAT(metadata().InsertMappings(&context, running, &response), Succeeds());
  }
  void Unblock() {
    device_->Release();
    waiting_.clear();
  }

  const std::shared_ptr<DeviceSwitch> device_ = std::make_shared<DeviceSwitch>();
  std::vector<std::jthread> waiting_;
};

TEST_F(DeadlineTest, WhatWaitsLongerThanItsDeadlineIsNotApplied) {
  const v1::InsertMappingsRequest late = InsertRequest({{5, 5000}});
  Block();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  v1::InsertMappingsResponse response;
  EXPECT_EQ(metadata().InsertMappings(&context, late, &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  Unblock();
  // Mutations are applied in order: behind this one it is settled.
  ASSERT_THAT(Insert({{6, 6000}}, /*dirty=*/true), Succeeds());
  EXPECT_THAT(Lookup({5, 6}).mapped(), testing::ElementsAre(false, true));
}

TEST_F(DeadlineTest, WhatIsCancelledWhileItWaitsIsNotApplied) {
  const v1::InsertMappingsRequest cancelled = InsertRequest({{5, 5000}});
  Block();
  grpc::ClientContext context;
  grpc::Status status;
  std::jthread caller([&] {
    v1::InsertMappingsResponse response;
    status = metadata().InsertMappings(&context, cancelled, &response);
  });
  // The daemon has the request, and later the cancellation, when it has answered calls that came behind them.
  for (int i = 0; i < 100; ++i) Get();
  context.TryCancel();
  caller.join();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::CANCELLED);
  for (int i = 0; i < 100; ++i) Get();
  Unblock();
  ASSERT_THAT(Insert({{6, 6000}}, /*dirty=*/true), Succeeds());
  EXPECT_THAT(Lookup({5, 6}).mapped(), testing::ElementsAre(false, true));
}

TEST_F(DeadlineTest, AFullQueueOfMutationsIsOverloadedAtOnce) {
  Block();
  constexpr size_t kCalls = 6000;
  v1::MarkDirtyRequest mark;
  mark.set_cache(kCache);
  mark.add_cblocks(0);
  const Flood<v1::MarkDirtyRequest, v1::MarkDirtyResponse> flood(
      kCalls, mark, [this](auto... call) { metadata().async()->MarkDirty(call...); });
  flood.AwaitRefusal();  // While nothing else can be answered.
  EXPECT_GT(flood.refused(), 0u);
  EXPECT_THAT(Lookup({0}).mapped(), testing::ElementsAre(true)) << "reads go on";
  Unblock();
  for (const grpc::Status& status : flood.Await()) {
    if (!status.ok()) {
      ASSERT_THAT(status, FailsWith(Reason::kOverloaded));
    }
  }
  EXPECT_LT(flood.refused(), kCalls);
}

TEST_F(DeadlineTest, AStreamThatWasHeldBackGoesOn) {
  constexpr int kBatches = 100;  // More than are read ahead.
  Block();
  Context context;
  const auto stream = metadata().Mutate(&context);
  v1::MutateRequest batch;
  batch.set_cache(kCache);
  for (int i = 1; i <= kBatches; ++i) {
    batch.set_batch(static_cast<uint64_t>(i));
    batch.mutable_mark_dirty()->add_cblocks(0);
    ASSERT_TRUE(stream->Write(batch));
  }
  stream->WritesDone();
  for (int i = 0; i < 100; ++i) Get();  // The daemon has read what it takes.
  Unblock();
  int applied = 0;
  for (v1::MutateResponse answer; stream->Read(&answer);) applied += answer.applied_size();
  EXPECT_THAT(stream->Finish(), Succeeds());
  EXPECT_EQ(applied, kBatches);
}

}  // namespace
}  // namespace dmcached
