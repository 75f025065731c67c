// Where work runs.  The engine starts no threads: whoever builds it brings these.
#ifndef DMCACHED_CORE_BASE_EXECUTOR_H_
#define DMCACHED_CORE_BASE_EXECUTOR_H_

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace dmcached {

using Task = absl::AnyInvocable<void() &&>;

class Executor {
 public:
  // Runs everything that was taken, then returns.  Never called from one of its own tasks.
  virtual ~Executor() = default;

  // Takes a task to be run later, never inside this call.  False: it is full, and the task was dropped.
  // Thread-safe.
  virtual bool Schedule(Task task) = 0;
  // The same, but the task is not taken up before `delay` is over.  An executor without a clock takes it up at once.
  virtual bool ScheduleAfter(std::chrono::nanoseconds /*delay*/, Task task) { return Schedule(std::move(task)); }
};

struct SerialPair {
  std::unique_ptr<Executor> first;
  std::unique_ptr<Executor> second;
};

class ExecutorFactory {
 public:
  virtual ~ExecutorFactory() = default;

  // An unbounded executor that runs one task at a time, in order.  `name` is for people (thread names).
  virtual std::unique_ptr<Executor> NewSerialExecutor(const std::string& name) = 0;
  // Two such executors that often hand work to each other.  A task of one never waits for a task of the other.
  // Both are null if the system has no thread left for them.
  virtual SerialPair NewSerialPair(const std::string& name) {
    return {NewSerialExecutor(name), NewSerialExecutor(name)};
  }
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_EXECUTOR_H_
