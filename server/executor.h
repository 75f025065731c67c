// Threads for the engine: a bounded pool for reads, and threads for serial queues.
#ifndef DMCACHED_SERVER_EXECUTOR_H_
#define DMCACHED_SERVER_EXECUTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "server/paired_threads.h"

namespace dmcached {

// Runs tasks on a fixed number of threads, in the order taken.  Thread-safe.
class ThreadPool : public Executor {
 public:
  // `name` becomes the threads' name, cut at 15 characters.  At most `capacity` tasks wait; running ones do not count.
  ThreadPool(const std::string& name, size_t threads, size_t capacity);
  // Runs everything that was taken, then joins the threads.
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  bool Schedule(Task task) override;

  // For metrics: tasks that wait, and tasks that were refused since the start.
  size_t depth() const;
  uint64_t rejected() const { return rejected_.load(std::memory_order_relaxed); }

 private:
  void Run();

  const size_t capacity_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<uint64_t> rejected_{0};
  std::vector<std::thread> threads_;
};

// As many threads as serial executors.
class ThreadExecutorFactory : public ExecutorFactory {
 public:
  std::unique_ptr<Executor> NewSerialExecutor(const std::string& name) override;
  // Two threads, whichever of them is free for either.
  SerialPair NewSerialPair(const std::string& name) override { return PairedThreads::New(name); }
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_EXECUTOR_H_
