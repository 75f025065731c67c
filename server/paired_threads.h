// Two serial executors over two threads of their own.
//
// Each side runs its tasks one at a time, in order, and however long one of them takes, the other side goes on: there
// is a thread for each.  But no thread belongs to a side: what a task gives to the other side goes on in the same
// thread when that is through and nobody else had a reason to wake, because waking a thread costs more than most tasks.
#ifndef DMCACHED_SERVER_PAIRED_THREADS_H_
#define DMCACHED_SERVER_PAIRED_THREADS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "core/base/executor.h"
#include "core/base/mutex.h"

namespace dmcached {

class PairedThreads {  // Thread-safe.
 public:
  // `name` becomes the threads' name, cut at 15 characters.  Both null: the system has no thread left.
  static SerialPair New(const std::string& name);

  PairedThreads() = default;
  // After both sides were drained.
  ~PairedThreads();
  PairedThreads(const PairedThreads&) = delete;
  PairedThreads& operator=(const PairedThreads&) = delete;

 private:
  class SideExecutor;
  using SteadyClock = std::chrono::steady_clock;
  struct Side {
    std::deque<Task> tasks;
    std::multimap<SteadyClock::time_point, Task> later;
    bool running = false;
  };

  // Throws std::system_error.
  void Start(const std::string& name);
  void Schedule(size_t side, Task task);
  void ScheduleAt(size_t side, SteadyClock::time_point when, Task task);
  // Returns when everything that this side took has run, at once what was to wait.
  void Drain(size_t side);
  // A thread, until it is stopped.
  void Run();
  // Until there may be something to do.
  void Wait() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes up what has waited long enough.
  void TakeDue(SteadyClock::time_point now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A side whose next task may begin, `preferred` first.
  std::optional<size_t> Ready(size_t preferred) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsReady(const Side& side) const { return !side.running && !side.tasks.empty(); }

  Mutex mutex_;
  CondVar wake_;
  CondVar drained_;
  std::array<Side, 2> sides_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;  // Threads that wait.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::array<std::thread, 2> threads_;  // Less if there were too few to start.
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_PAIRED_THREADS_H_
