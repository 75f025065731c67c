// Callbacks that are due while a mutex is held, made once it is released.
#ifndef DMCACHED_CORE_CACHE_ANSWERS_H_
#define DMCACHED_CORE_CACHE_ANSWERS_H_

#include <utility>
#include <vector>

#include "core/base/executor.h"
#include "core/cache/engine.h"

namespace dmcached {

// Declared before the lock in the same scope, so that it is destroyed, and calls, after the lock is gone.
class Answers {  // Not thread-safe.
 public:
  Answers() = default;
  ~Answers() {
    for (Task& task : tasks_) std::move(task)();
  }
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;

  void Add(Task task) { tasks_.push_back(std::move(task)); }
  template <typename T>
  void Add(Callback<T> done, T value) {
    tasks_.push_back(
        [done = std::move(done), value = std::move(value)]() mutable { std::move(done)(std::move(value)); });
  }

 private:
  std::vector<Task> tasks_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ANSWERS_H_
