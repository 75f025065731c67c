// Devices that fail under an open cache: the failed state, what waiters are told, recovery.
#include <chrono>
#include <limits>
#include <memory>

#include "tests/e2e/daemon.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/switched_device.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

class FaultsTest : public DaemonTest {
 protected:
  FaultsTest() {
    config_.commit_interval_ms = 3600000;
    config_.recover_interval_ms = 0;
    opener_ = OpenSwitched(faults_);
    Start();
    CreateStandard();
  }

  const std::shared_ptr<DeviceSwitch> faults_ = std::make_shared<DeviceSwitch>();
};

TEST_F(FaultsTest, AFailedLastFlushFailsTheCacheAndLeavesTheOutcomeOpen) {
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  const v1::Cache before = Get();
  // A commit is blocks, flush, block 0, flush: with the second flush it is not known which state a reopen finds.
  faults_->good_flushes = 1;
  EXPECT_THAT(MarkDirty({1}), Succeeds());  // Already so, and durable.
  EXPECT_THAT(Insert({{2, 20}}, /*dirty=*/true), FailsWith(Reason::kOutcomeUnknown));
  v1::Cache cache = Get();
  EXPECT_EQ(cache.state(), v1::Cache::STATE_FAILED);
  EXPECT_THAT(cache.last_error(), testing::HasSubstr("flush failed by the test"));
  EXPECT_THAT(Commit(), FailsWith(Reason::kCacheFailed));
  EXPECT_THAT(MarkDirty({1}), FailsWith(Reason::kCacheFailed));
  EXPECT_THAT(Close(), FailsWith(Reason::kCacheFailed));
  EXPECT_FALSE(Recover().ok());  // It writes block 0 first, which needs a flush.
  EXPECT_EQ(Get().state(), v1::Cache::STATE_FAILED);

  faults_->good_flushes = std::numeric_limits<int>::max();
  ASSERT_THAT(Recover(), Succeeds());
  cache = Get();
  EXPECT_EQ(cache.state(), v1::Cache::STATE_OPEN);
  EXPECT_NE(cache.incarnation(), before.incarnation());
  const Pairs after = List(true);
  EXPECT_TRUE(after == (Pairs{{1, 10}}) || after == (Pairs{{1, 10}, {2, 20}}));
}

TEST_F(FaultsTest, AFailureBeforeBlockZeroIsWrittenLosesForSure) {
  faults_->good_flushes = 0;
  EXPECT_THAT(Insert({{2, 20}}, /*dirty=*/true), FailsWith(Reason::kLost));
  faults_->good_flushes = std::numeric_limits<int>::max();
  ASSERT_THAT(Recover(), Succeeds());
  EXPECT_EQ(List(), Pairs{});
}

TEST_F(FaultsTest, WhatWasOnlyAppliedIsGoneAfterAFailedWrite) {
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  const v1::InsertMappingsRequest lost = InsertRequest({{2, 20}});
  {
    Context context;
    v1::InsertMappingsResponse response;
    ASSERT_THAT(metadata().InsertMappings(&context, lost, &response), Succeeds());
  }
  faults_->fail_writes = true;
  EXPECT_FALSE(Commit().ok());
  EXPECT_EQ(Get().state(), v1::Cache::STATE_FAILED);
  faults_->fail_writes = false;
  ASSERT_THAT(Recover(), Succeeds());
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
  // The repeat is from another incarnation, and does nothing.
  Context context;
  v1::InsertMappingsResponse response;
  EXPECT_THAT(metadata().InsertMappings(&context, lost, &response), FailsWith(Reason::kIncarnationChanged));
}

TEST_F(FaultsTest, AMutateStreamEndsWithWhatBecameOfItsBatches) {
  Context context;
  const auto stream = metadata().Mutate(&context);
  v1::MutateRequest message;
  message.set_cache(kCache);
  message.set_batch(1);
  *message.mutable_insert_mappings() = InsertRequest({{1, 10}});
  ASSERT_TRUE(stream->Write(message));
  v1::MutateResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  ASSERT_EQ(answer.applied_size(), 1);
  faults_->fail_writes = true;
  stream->WritesDone();
  while (stream->Read(&answer)) {
  }
  EXPECT_EQ(answer.durable_through(), 0u);
  const grpc::Status status = stream->Finish();
  EXPECT_THAT(status, FailsWith(Reason::kLost));  // Block 0 was never written.
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("batch"), "1");
}

TEST_F(FaultsTest, AFailedCacheIsClosedByGivingUpWhatWasNotDurable) {
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  faults_->fail_writes = true;
  EXPECT_FALSE(Commit().ok());
  v1::CloseCacheRequest request;
  request.set_name(kCache);
  request.set_discard_uncommitted(true);
  Context context;
  v1::CloseCacheResponse response;
  EXPECT_THAT(caches().CloseCache(&context, request, &response), Succeeds());
  faults_->fail_writes = false;
  OpenStandard();
  EXPECT_EQ(List(), Pairs{});
}

TEST_F(FaultsTest, DamageMetInARunningCacheStopsMutationsAndIsRemembered) {
  constexpr uint32_t kFar = 1500;  // In another array block than the others.
  ASSERT_THAT(Insert({{1, 10}, {kFar, 20}}, /*dirty=*/true), Succeeds());
  Restart();
  OpenStandard();
  ASSERT_THAT(Lookup({1}).mapped(), testing::ElementsAre(true));  // Resident from here on.
  ASSERT_THAT(Insert({{2, 30}}, /*dirty=*/true), Succeeds());
  faults_->damage_reads = true;
  EXPECT_THAT(Remove({{kFar, 20}}, /*discard_dirty=*/true), FailsWith(Reason::kMetadataCorrupt));
  v1::Cache cache = Get();
  EXPECT_EQ(cache.state(), v1::Cache::STATE_NEEDS_CHECK);
  EXPECT_TRUE(cache.superblock().needs_check());
  EXPECT_THAT(Insert({{3, 40}}), FailsWith(Reason::kNeedsCheck));
  EXPECT_THAT(Lookup({1, 2}).mapped(), testing::ElementsAre(true, true));
  faults_->damage_reads = false;
  EXPECT_THAT(Insert({{3, 40}}), FailsWith(Reason::kNeedsCheck));
  ASSERT_THAT(Close(), Succeeds());
  v1::OpenCacheRequest open;
  open.set_name(kCache);
  open.set_metadata_path(folder_.File("metadata"));
  {
    Context context;
    v1::OpenCacheResponse response;
    EXPECT_THAT(caches().OpenCache(&context, open, &response), FailsWith(Reason::kNeedsCheck));
  }
  open.set_read_only(true);
  EXPECT_EQ(Open(open).state(), v1::Cache::STATE_READ_ONLY);
  EXPECT_EQ(List(true), (Pairs{{1, 10}, {2, 30}, {kFar, 20}}));
}

TEST_F(FaultsTest, ReadsThatFailAreIoErrorsAndNothingHappens) {
  constexpr uint32_t kFar = 1500;  // In another array block than the others.
  ASSERT_THAT(Insert({{1, 10}, {kFar, 20}}, /*dirty=*/true), Succeeds());
  Restart();
  OpenStandard();
  faults_->fail_reads = true;
  EXPECT_THAT(Remove({{kFar, 20}}, /*discard_dirty=*/true), FailsWith(Reason::kIoError));
  v1::LookupMappingsRequest lookup;
  lookup.set_cache(kCache);
  lookup.add_cblocks(kFar);
  {
    Context context;
    v1::LookupMappingsResponse response;
    EXPECT_THAT(metadata().LookupMappings(&context, lookup, &response), FailsWith(Reason::kIoError));
  }
  v1::ProbeCacheRequest probe;
  probe.set_metadata_path(folder_.File("metadata"));
  {
    Context context;
    v1::ProbeCacheResponse response;
    EXPECT_THAT(caches().ProbeCache(&context, probe, &response), FailsWith(Reason::kIoError));
  }
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN) << "a read that failed says nothing about what is in memory";
  faults_->fail_reads = false;
  EXPECT_EQ(List(true), (Pairs{{1, 10}, {kFar, 20}}));
  ASSERT_THAT(Close(), Succeeds());
  faults_->fail_reads = true;
  v1::OpenCacheRequest open;
  open.set_name(kCache);
  open.set_metadata_path(folder_.File("metadata"));
  Context context;
  v1::OpenCacheResponse response;
  EXPECT_THAT(caches().OpenCache(&context, open, &response), FailsWith(Reason::kIoError));
}

TEST_F(FaultsTest, DamageThatAListMeetsIsCountedAndStopsMutations) {
  Stop();
  config_.metrics = "127.0.0.1:0";
  Start();
  OpenStandard();
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  faults_->damage_reads = true;
  v1::ListMappingsRequest request;
  request.set_cache(kCache);
  {
    Context context;
    const auto reader = metadata().ListMappings(&context, request);
    v1::ListMappingsResponse page;
    while (reader->Read(&page)) {
    }
    EXPECT_THAT(reader->Finish(), FailsWith(Reason::kMetadataCorrupt));
  }
  faults_->damage_reads = false;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Get().state() != v1::Cache::STATE_NEEDS_CHECK) ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  EXPECT_EQ(Scrape(app().metrics_address()).At("dmcached_checksum_errors_total{cache=\"c1\",structure=\"array\"}"), 1);
}

TEST_F(FaultsTest, AShutdownThatLosesChangesSaysSo) {
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  faults_->fail_writes = true;
  EXPECT_FALSE(app().Shutdown().ok());
}

TEST_F(FaultsTest, AFailedCacheDoesNotHoldUpAShutdown) {
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  faults_->fail_writes = true;
  EXPECT_FALSE(Commit().ok());
  EXPECT_THAT(app().Shutdown(), IsOk());  // The failure was said when it happened.
}

}  // namespace
}  // namespace dmcached
