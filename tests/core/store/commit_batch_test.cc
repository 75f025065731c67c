#include "core/store/commit_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/mutex.h"
#include "tests/core/store/store_fixture.h"
#include "tests/support/manual_executor.h"
#include "tests/support/thread_per_task.h"

namespace dmcached {
namespace {

class CommitBatchTest : public testing::Test {
 protected:
  CommitBatchTest() {
    EXPECT_THAT(store_.Format(10 * kArrayWordsPerBlock), IsOk());
    device_->log.clear();
  }
  absl::Status Write(CommitBatch& batch) { return batch.Write(*device_, stop_); }

  std::shared_ptr<RecordingDevice> device_ = std::make_shared<RecordingDevice>(256 * kMetadataBlockBytes);
  TestStore store_{device_};
  std::atomic<bool> stop_{false};
};

TEST_F(CommitBatchTest, BlocksThenFlushThenSuperblockThenFlush) {
  ASSERT_THAT(store_.Put(0, 1), IsOk());
  device_->log.clear();
  auto batch = store_.Prepare();
  EXPECT_THAT(device_->log, testing::IsEmpty()) << "Prepare writes nothing";
  ASSERT_THAT(Write(*batch), IsOk());
  const std::vector<std::string>& log = device_->log;
  ASSERT_GE(log.size(), 4u);
  EXPECT_THAT(std::vector(log.end() - 3, log.end()), testing::ElementsAre("f", "w0+1", "f"));
  for (auto entry = log.begin(); entry != log.end() - 3; ++entry) {
    EXPECT_EQ(entry->front(), 'w');
    EXPECT_NE(entry->substr(0, 3), "w0+");
  }
  EXPECT_TRUE(batch->superblock_started());
}

TEST_F(CommitBatchTest, ATransactionsBlocksAreNeighboursWrittenAtOnce) {
  for (uint64_t block = 0; block < 10; ++block) ASSERT_THAT(store_.Put(block * kArrayWordsPerBlock, 1), IsOk());
  device_->log.clear();
  auto batch = store_.Prepare();
  ASSERT_THAT(Write(*batch), IsOk());
  // Ten array blocks, one index node, the index block and one bitmap.
  EXPECT_EQ(batch->written_blocks(), 14u);
  ASSERT_EQ(device_->log.size(), 4u) << testing::PrintToString(device_->log);
  EXPECT_THAT(device_->log[0], testing::EndsWith("+13"));
}

TEST_F(CommitBatchTest, SmallCommitsOneAfterTheOtherAreOneWriteEach) {
  for (uint64_t i = 0; i < 40; ++i) {
    ASSERT_THAT(store_.Put(i % 10 * kArrayWordsPerBlock, i + 1), IsOk());
    device_->log.clear();
    auto batch = store_.Prepare();
    ASSERT_THAT(Write(*batch), IsOk());
    ASSERT_EQ(device_->log.size(), 4u) << "commit " << i << ": " << testing::PrintToString(device_->log);
    store_->Finish(std::move(batch));
  }
}

TEST_F(CommitBatchTest, CommitThatChangesNoBlockWritesTheSuperblockOnly) {
  store_.superblock().read_hits = 77;
  auto batch = store_.Prepare();
  ASSERT_THAT(Write(*batch), IsOk());
  EXPECT_THAT(device_->log, testing::ElementsAre("f", "w0+1", "f"));
  EXPECT_EQ(batch->written_blocks(), 1u);
  store_->Finish(std::move(batch));
  ASSERT_THAT(store_.Load(), IsOk());
  EXPECT_EQ(store_.superblock().read_hits, 77u);
}

TEST_F(CommitBatchTest, EveryBlockIsSealedAtItsPlace) {
  ASSERT_THAT(store_.Put(0, 1), IsOk());
  auto batch = store_.Prepare();
  ASSERT_THAT(Write(*batch), IsOk());
  store_->Finish(std::move(batch));
  EXPECT_THAT(store_.Load(), IsOk());
  EXPECT_THAT(store_->damage(), IsOk());
  EXPECT_EQ(*store_.Get(0), 1u);
}

TEST_F(CommitBatchTest, StoppedBeforeItBeganItWritesNothing) {
  ASSERT_THAT(store_.Put(0, 1), IsOk());
  device_->log.clear();
  auto batch = store_.Prepare();
  stop_ = true;
  EXPECT_THAT(Write(*batch), HasReasonIs(Reason::kOutcomeUnknown));
  EXPECT_THAT(device_->log, testing::IsEmpty());
  EXPECT_FALSE(batch->superblock_started());
}

TEST_F(CommitBatchTest, StoppedDuringTheFirstFlushItLeavesTheSuperblockAlone) {
  ASSERT_THAT(store_.Put(0, 1), IsOk());
  device_->log.clear();
  auto batch = store_.Prepare();
  device_->on_flush = [&] { stop_ = true; };
  EXPECT_THAT(Write(*batch), HasReasonIs(Reason::kOutcomeUnknown));
  EXPECT_EQ(device_->log.back(), "f");
  EXPECT_EQ(std::count(device_->log.begin(), device_->log.end(), "f"), 1);
  EXPECT_FALSE(batch->superblock_started());
}

// Lets a test act before each write.
class HookedDevice : public FaultyDevice {
 public:
  using FaultyDevice::FaultyDevice;
  std::function<void()> on_write = [] {};

 protected:
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    on_write();
    return FaultyDevice::DoWriteV(offset_bytes, buffers);
  }
};

// A commit of 600 array blocks and what leads to them, on a device with faults that count from its begin.
class LargeCommitTest : public testing::Test {
 protected:
  absl::Status CommitWith(FaultOptions faults, Executor* helper) {
    device_ = std::make_shared<HookedDevice>(4096 * kMetadataBlockBytes);
    store_.emplace(device_);
    EXPECT_THAT(store_->Format(kBlocks * kArrayWordsPerBlock), IsOk());
    for (uint64_t block = 0; block < kBlocks; ++block) {
      EXPECT_THAT(store_->Put(block * kArrayWordsPerBlock, block + 1), IsOk());
    }
    if (faults.fail_write.has_value()) *faults.fail_write += device_->writes();
    device_->SetFaults(faults);
    batch_ = store_->Prepare();
    EXPECT_TRUE(batch_->large());
    writes_before_ = device_->writes();
    device_->on_write = on_write_;
    return batch_->Write(*device_, stop_, helper);
  }
  void ExpectWhole() {
    ASSERT_THAT(store_->Load(), IsOk());
    EXPECT_THAT((*store_)->damage(), IsOk());
    for (uint64_t block = 0; block < kBlocks; ++block) {
      const auto word = store_->Get(block * kArrayWordsPerBlock);
      ASSERT_THAT(word, IsOk());
      ASSERT_EQ(*word, block + 1);
    }
  }

  static constexpr uint64_t kBlocks = 600;
  std::atomic<bool> stop_{false};
  std::function<void()> on_write_ = [] {};  // Of the commit.
  uint64_t writes_before_ = 0;
  std::shared_ptr<HookedDevice> device_;
  std::optional<TestStore> store_;
  std::unique_ptr<CommitBatch> batch_;
};

TEST_F(LargeCommitTest, IsWholeWithAHelper) {
  ThreadPerTask helper;
  ASSERT_THAT(CommitWith({}, &helper), IsOk());
  (*store_)->Finish(std::move(batch_));
  ExpectWhole();
}

TEST_F(LargeCommitTest, IsWholeWhereTheHelperNeverBegins) {
  ManualExecutorFactory never;
  ASSERT_THAT(CommitWith({}, &never.readers()), IsOk());
  (*store_)->Finish(std::move(batch_));
  ExpectWhole();
}

// What is sealed where it lies belongs to the commit, however the next transaction goes on.
TEST_F(LargeCommitTest, IsWholeWhileTheNextTransactionChangesEveryBlock) {
  ThreadPerTask helper;
  std::promise<void> writing;
  std::once_flag first;
  on_write_ = [&] { std::call_once(first, [&] { writing.set_value(); }); };
  std::thread next([&] {
    writing.get_future().wait();
    for (uint64_t block = kBlocks; block-- > 0;) EXPECT_THAT(store_->Put(block * kArrayWordsPerBlock, 7), IsOk());
  });
  ASSERT_THAT(CommitWith({}, &helper), IsOk());
  next.join();
  (*store_)->Finish(std::move(batch_));
  ExpectWhole();
}

TEST_F(LargeCommitTest, AFailedWriteOfEitherThreadStopsBeforeTheSuperblock) {
  ThreadPerTask helper;
  for (uint64_t write = 0; write < 5; ++write) {
    EXPECT_THAT(CommitWith({.fail_write = write}, &helper), HasReasonIs(Reason::kIoError)) << write;
    EXPECT_FALSE(batch_->superblock_started());
    EXPECT_EQ(device_->flushes(), 2u) << "those of the format";
  }
}

TEST_F(LargeCommitTest, StoppedItWritesNothing) {
  ThreadPerTask helper;
  stop_ = true;
  EXPECT_THAT(CommitWith({}, &helper), HasReasonIs(Reason::kOutcomeUnknown));
  EXPECT_FALSE(batch_->superblock_started());
  EXPECT_EQ(device_->writes(), writes_before_);
  EXPECT_EQ(device_->flushes(), 2u) << "those of the format";
}

TEST_F(LargeCommitTest, StoppedWhileBothThreadsWriteItBeginsNoOtherWrite) {
  ThreadPerTask helper;
  Mutex mutex;
  CondVar changed;
  std::set<std::thread::id> writers;
  on_write_ = [&] {
    MutexLock lock(mutex);
    writers.insert(std::this_thread::get_id());  // Each waits in its first write for the other.
    stop_ = writers.size() == 2;
    changed.NotifyAll();
    while (!stop_) changed.Wait(mutex);
  };
  EXPECT_THAT(CommitWith({}, &helper), HasReasonIs(Reason::kOutcomeUnknown));
  EXPECT_EQ(device_->writes(), writes_before_ + 2) << "those under way";
  EXPECT_FALSE(batch_->superblock_started());
  EXPECT_EQ(device_->flushes(), 2u) << "those of the format";
}

class CommitFaultTest : public testing::Test {
 protected:
  // A commit on a device with faults that count from its begin.  Returns the batch and what Write said.
  absl::Status CommitWith(FaultOptions faults) {
    auto device = std::make_shared<FaultyDevice>(256 * kMetadataBlockBytes);
    device_ = device.get();
    store_.emplace(device);
    EXPECT_THAT(store_->Format(10 * kArrayWordsPerBlock), IsOk());
    EXPECT_THAT(store_->Put(0, 1), IsOk());
    for (auto* number : {&faults.fail_write, &faults.no_space_write, &faults.power_cut_after}) {
      if (number->has_value()) **number += device->writes();
    }
    if (faults.fail_flush.has_value()) *faults.fail_flush += device->flushes();
    device->SetFaults(faults);
    batch_ = store_->Prepare();
    const std::atomic<bool> stop = false;
    return batch_->Write(*device, stop);
  }

  FaultyDevice* device_ = nullptr;
  std::optional<TestStore> store_;
  std::unique_ptr<CommitBatch> batch_;
};

TEST_F(CommitFaultTest, FailedBlockWriteStopsBeforeTheSuperblock) {
  EXPECT_THAT(CommitWith({.fail_write = 0}), HasReasonIs(Reason::kIoError));
  EXPECT_FALSE(batch_->superblock_started());
  EXPECT_THAT(CommitWith({.no_space_write = 0}), HasReasonIs(Reason::kMetadataNoSpace));
  EXPECT_FALSE(batch_->superblock_started());
}

TEST_F(CommitFaultTest, FailedFirstFlushStopsBeforeTheSuperblock) {
  const absl::Status status = CommitWith({.fail_flush = 0});
  EXPECT_THAT(status, HasReasonIs(Reason::kIoError));
  EXPECT_FALSE(batch_->superblock_started());
  // No flush is repeated: none came after.
  const uint64_t flushes = device_->flushes();
  EXPECT_EQ(flushes, 3u) << "two of the format, one of this commit";
}

TEST_F(CommitFaultTest, FailedLastFlushLeavesTheOutcomeOpen) {
  EXPECT_THAT(CommitWith({.fail_flush = 1}), HasReasonIs(Reason::kIoError));
  EXPECT_TRUE(batch_->superblock_started());
}

TEST_F(CommitFaultTest, PowerCutAtEveryWriteLeavesTheOldOrTheNewState) {
  for (uint64_t cut = 0; cut < 2; ++cut) {
    for (uint64_t seed = 0; seed < 32; ++seed) {
      SCOPED_TRACE(testing::Message() << "cut " << cut << " seed " << seed);
      ASSERT_FALSE(CommitWith({.power_cut_after = cut}).ok());
      auto image = std::make_shared<FaultyDevice>(device_->CrashImage(seed));
      TestStore found(image);
      ASSERT_THAT(found.Load(), IsOk());
      ASSERT_THAT(found->damage(), IsOk());
      const auto word = found.Get(0);
      ASSERT_THAT(word, IsOk());
      ASSERT_TRUE(*word == 0 || (*word == 1 && cut == 1)) << *word;
    }
  }
}

}  // namespace
}  // namespace dmcached
