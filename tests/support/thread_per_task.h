// An executor that starts a thread for every task.
#ifndef DMCACHED_TESTS_SUPPORT_THREAD_PER_TASK_H_
#define DMCACHED_TESTS_SUPPORT_THREAD_PER_TASK_H_

#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/executor.h"

namespace dmcached {

class ThreadPerTask : public Executor {  // Not thread-safe: one thread schedules.
 public:
  // Takes no more than `capacity` tasks in all.
  explicit ThreadPerTask(size_t capacity = SIZE_MAX) : capacity_(capacity) {}
  ~ThreadPerTask() override {
    for (std::thread& thread : threads_) thread.join();
  }
  bool Schedule(Task task) override {
    if (threads_.size() == capacity_) return false;
    threads_.emplace_back([task = std::move(task)]() mutable { std::move(task)(); });
    return true;
  }

 private:
  const size_t capacity_;
  std::vector<std::thread> threads_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_THREAD_PER_TASK_H_
