// The engine on real threads: many callers at once, snapshots, look-ups, commits, and a close in the middle.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <future>
#include <limits>
#include <map>
#include <thread>

#include "core/base/mutex.h"
#include "tests/core/cache/engine_fixture.h"

namespace dmcached {
namespace {

class ThreadExecutor : public Executor {
 public:
  explicit ThreadExecutor(size_t capacity) : capacity_(capacity), thread_([this] { Run(); }) {}
  ~ThreadExecutor() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.NotifyAll();
    thread_.join();
  }
  bool Schedule(Task task) override {
    {
      MutexLock lock(mutex_);
      if (tasks_.size() >= capacity_) return false;
      tasks_.push_back(std::move(task));
    }
    wake_.NotifyOne();
    return true;
  }

 private:
  void Run() {
    for (;;) {
      Task task;
      {
        MutexLock lock(mutex_);
        while (tasks_.empty() && !stopping_) wake_.Wait(mutex_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      std::move(task)();
    }
  }

  const size_t capacity_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

class ThreadExecutorFactory : public ExecutorFactory {
 public:
  std::unique_ptr<Executor> NewSerialExecutor(const std::string&) override {
    return std::make_unique<ThreadExecutor>(std::numeric_limits<size_t>::max());
  }
};

template <typename T>
class Answer {
 public:
  Callback<T> callback() {
    return [promise = promise_](T value) { promise->set_value(std::move(value)); };
  }
  T Wait() { return promise_->get_future().get(); }

 private:
  std::shared_ptr<std::promise<T>> promise_ = std::make_shared<std::promise<T>>();
};

constexpr uint32_t kBlocksPerCaller = 200;
constexpr uint32_t kCallers = 8;
constexpr uint32_t kBlocks = kBlocksPerCaller * kCallers;

class EngineThreadsTest : public testing::Test {
 protected:
  EngineThreadsTest() {
    bank_.Add("/meta", 4 << 20);
    Start();
  }
  ~EngineThreadsTest() override { engine_.reset(); }

  void Start() {
    engine_ = std::make_unique<Engine>(EngineOptions{.block_cache_bytes = 8 * 4096}, bank_.opener(), clock_, executors_,
                                       readers_);
  }

  absl::Status Create(uint32_t blocks) {
    Answer<absl::StatusOr<CacheInfo>> created;
    engine_->Create({.name = "c", .metadata_path = "/meta", .data_block_size = Sectors(128), .cache_blocks = blocks},
                    created.callback());
    return created.Wait().status();
  }

  absl::Status Open() {
    Answer<absl::StatusOr<OpenResult>> opened;
    engine_->Open({.name = "c", .metadata_path = "/meta"}, opened.callback());
    return opened.Wait().status();
  }

  // Inserts, marks and removes its own blocks until it is told that the cache is gone; returns what it was promised:
  // per cblock, dirty (true), or removed (false).
  std::map<uint32_t, bool> CallUntilClosed(uint32_t caller) {
    std::map<uint32_t, bool> promised;
    for (uint32_t round = 0;; ++round) {
      const uint32_t cblock = caller * kBlocksPerCaller + round % kBlocksPerCaller;
      const uint64_t oblock = cblock + 7;
      const auto known = promised.find(cblock);
      Answer<absl::StatusOr<MutationResult>> answer;
      const bool dirty[] = {true};
      const bool remove = known != promised.end() && known->second;
      if (remove) {
        RemoveMappings request;
        request.cblocks = {&cblock, 1};
        request.oblocks = {&oblock, 1};
        request.discard_dirty = true;
        engine_->Apply("c", request, {.request_id = std::to_string(caller * 1000000 + round)}, answer.callback());
        const auto result = answer.Wait();
        if (!result.ok()) return promised;
        promised[cblock] = false;
      } else {
        InsertMappings request;
        request.cblocks = {&cblock, 1};
        request.oblocks = {&oblock, 1};
        request.dirty = dirty;
        engine_->Apply("c", request, {}, answer.callback());
        const auto result = answer.Wait();
        if (!result.ok()) return promised;
        EXPECT_GE(result->durable_transaction, result->transaction);
        promised[cblock] = true;
      }
      Answer<absl::StatusOr<LookupResult>> found;
      engine_->Lookup("c", {.cblocks = {&cblock, 1}}, found.callback());
      const auto looked_up = found.Wait();
      if (looked_up.ok()) {
        EXPECT_EQ(looked_up->mapped[0] != 0, !remove);
      }
    }
  }

  DeviceBank bank_;
  ManualClock clock_;
  ThreadExecutorFactory executors_;
  ThreadExecutor readers_{64};
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineThreadsTest, WhatCallersWerePromisedIsThereAfterAShutdownUnderLoad) {
  ASSERT_THAT(Create(kBlocks), IsOk());

  std::vector<std::future<std::map<uint32_t, bool>>> callers;
  for (uint32_t i = 0; i < kCallers; ++i) {
    callers.push_back(std::async(std::launch::async, [this, i] { return CallUntilClosed(i); }));
  }
  // Reads beside them, and the ticks of a server.
  uint64_t snapshots = 0;
  while (engine_->Get("c")->revision < 2000) {
    clock_.Advance(std::chrono::milliseconds(50));
    engine_->Tick();
    Answer<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> taken;
    engine_->TakeSnapshot("c", taken.callback());
    const auto snapshot = taken.Wait();
    ASSERT_THAT(snapshot, IsOk());
    const auto page = (*snapshot)->ReadMappings({}, Cblock(0), kBlocks);
    EXPECT_TRUE(page.ok() || HasReason(page.status(), Reason::kSnapshotRevoked)) << page.status();
    ++snapshots;
    EXPECT_EQ(engine_->Metrics().size(), 1u);
  }
  EXPECT_GT(snapshots, 0u);
  Answer<absl::Status> done;
  engine_->Shutdown(done.callback());
  EXPECT_THAT(done.Wait(), IsOk());
  std::map<uint32_t, bool> promised;
  for (auto& caller : callers) promised.merge(caller.get());
  engine_.reset();

  Start();
  ASSERT_THAT(Open(), IsOk());
  for (const auto& [cblock, mapped] : promised) {
    Answer<absl::StatusOr<LookupResult>> found;
    engine_->Lookup("c", {.cblocks = {&cblock, 1}}, found.callback());
    const auto result = found.Wait();
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(result->mapped[0] != 0, mapped) << cblock;
    EXPECT_EQ(result->dirty[0] != 0, mapped) << cblock;
  }
}

TEST_F(EngineThreadsTest, OpeningAndClosingUnderLookUpsNeverTouchesFreedMemory) {
  ASSERT_THAT(Create(20 * 509), IsOk());
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;
  for (uint32_t i = 0; i < 20; ++i) {
    cblocks.push_back(i * 509);
    oblocks.push_back(i);
  }
  Answer<absl::StatusOr<MutationResult>> inserted;
  engine_->Apply("c", InsertMappings{.cblocks = cblocks, .oblocks = oblocks}, {}, inserted.callback());
  ASSERT_THAT(inserted.Wait(), IsOk());

  std::atomic<bool> stop{false};
  std::atomic<uint64_t> answered{0};
  std::thread reader([&] {
    while (!stop) {
      Answer<absl::StatusOr<LookupResult>> found;
      engine_->Lookup("c", {.cblocks = cblocks}, found.callback());
      const auto result = found.Wait();
      EXPECT_TRUE(result.ok() || HasReason(result.status(), Reason::kCacheNotOpen)) << result.status();
      ++answered;
    }
  });
  for (int i = 0; i < 30 || answered == 0; ++i) {
    Answer<absl::Status> closed;
    engine_->Close("c", {}, closed.callback());
    EXPECT_THAT(closed.Wait(), IsOk());
    engine_->Tick();
    EXPECT_THAT(Open(), IsOk());
  }
  stop = true;
  reader.join();
  EXPECT_GT(answered, 0u);
  Answer<absl::Status> done;
  engine_->Shutdown(done.callback());
  EXPECT_THAT(done.Wait(), IsOk());
}

// Where a test stops somebody until it lets them on.
class Barrier {  // Thread-safe.
 public:
  // Of who is to be stopped.
  void Pass() {
    reached_.set_value();
    go_on_.get_future().wait();
  }
  void WaitUntilReached() { reached_.get_future().wait(); }
  void Open() { go_on_.set_value(); }

 private:
  std::promise<void> reached_;
  std::promise<void> go_on_;
};

TEST_F(EngineThreadsTest, TheEngineGoesAfterALookUpThatIsStillCallingBack) {
  ASSERT_THAT(Create(kBlocks), IsOk());
  const uint32_t cblock = 1;
  const uint64_t oblock = 1;
  Answer<absl::StatusOr<MutationResult>> inserted;
  engine_->Apply("c", InsertMappings{.cblocks = {&cblock, 1}, .oblocks = {&oblock, 1}}, {}, inserted.callback());
  ASSERT_THAT(inserted.Wait(), IsOk());
  Answer<absl::Status> closed;
  engine_->Close("c", {}, closed.callback());
  ASSERT_THAT(closed.Wait(), IsOk());
  ASSERT_THAT(Open(), IsOk());  // Nothing is resident now.

  Barrier barrier;
  std::atomic<bool> called_back{false};
  engine_->Lookup("c", {.cblocks = {&cblock, 1}}, [&](const absl::StatusOr<LookupResult>& found) {
    EXPECT_THAT(found, IsOk());
    barrier.Pass();
    called_back = true;
  });
  barrier.WaitUntilReached();
  const auto gone = std::async(std::launch::async, [&] {
    engine_.reset();
    EXPECT_TRUE(called_back);
  });
  // Long enough for an engine that does not wait to be gone; one that waits passes however long it takes.
  EXPECT_EQ(gone.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  barrier.Open();
}

}  // namespace
}  // namespace dmcached
