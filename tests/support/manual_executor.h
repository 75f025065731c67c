// Executors that run when the test says so, in an order that one seed repeats.
#ifndef DMCACHED_TESTS_SUPPORT_MANUAL_EXECUTOR_H_
#define DMCACHED_TESTS_SUPPORT_MANUAL_EXECUTOR_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "tests/support/random.h"

namespace dmcached {

// Keeps the tasks of all its executors in one list.  Without a seed they run in the order in which they were taken;
// with one, any executor's oldest task may be next, as if each had its own thread.  A task may run others (as a device
// does that lets the rest go on during a transfer): never one of an executor whose task is under way.
// A task that is to wait runs when no other is left.
//
//   ManualExecutorFactory executors;
//   Engine engine(options, opener, clock, executors, executors.readers());
//   engine.Commit(...);
//   executors.RunUntilIdle();
class ManualExecutorFactory
    : public ExecutorFactory {  // Schedule is thread-safe; tasks run in the thread that calls Run*.
 public:
  explicit ManualExecutorFactory(std::optional<uint64_t> seed = std::nullopt);
  // After its executors.
  ~ManualExecutorFactory() override;

  std::unique_ptr<Executor> NewSerialExecutor(const std::string& name) override;
  SerialPair NewSerialPair(const std::string& name) override;
  // From now on there are no more pairs, as on a system without threads left.
  void set_out_of_threads(bool out) { out_of_threads_ = out; }
  // An executor of its own for work that needs one from outside.
  Executor& readers() { return *readers_; }

  // Runs one task.  False: there was none.
  bool RunOne();
  // Runs tasks, also those that they schedule, until none is left; returns their number.
  size_t RunUntilIdle();
  size_t queued() const;

 private:
  class SerialExecutor;
  struct Entry {
    const SerialExecutor* executor;
    bool later;
    Task task;
  };

  void Add(const SerialExecutor* executor, bool later, Task task);
  // Runs the next task, of `executor` or (null) of any that runs none.  False: there was none.
  bool RunNext(const SerialExecutor* executor);
  std::deque<Entry>::iterator Choose(bool later) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<bool> out_of_threads_{false};
  mutable Mutex mutex_;
  std::optional<Random> random_ ABSL_GUARDED_BY(mutex_);
  std::deque<Entry> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<const SerialExecutor*> running_ ABSL_GUARDED_BY(mutex_);  // The innermost last.
  std::unique_ptr<Executor> readers_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_MANUAL_EXECUTOR_H_
