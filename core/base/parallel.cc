#include "core/base/parallel.h"

#include <atomic>
#include <memory>

#include "core/base/mutex.h"

namespace dmcached {
namespace {

// Outlives the call, for tasks that begin after it is over and find nothing to do.
class Shared {
 public:
  Shared(size_t count, const std::function<void(size_t)>& work) : count_(count), work_(&work) {}

  void Work() {
    for (size_t i = next_++; i < count_; i = next_++) (*work_)(i);
  }

  void Help() {
    {
      MutexLock lock(mutex_);
      if (closed_) return;
      ++helpers_;
    }
    Work();
    MutexLock lock(mutex_);
    if (--helpers_ == 0) idle_.NotifyAll();
  }

  // Nobody begins after this; returns when those who did are through.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (helpers_ != 0) idle_.Wait(mutex_);
  }

 private:
  const size_t count_;
  const std::function<void(size_t)>* const work_;  // The caller's: not used once closed.
  std::atomic<size_t> next_{0};
  Mutex mutex_;
  CondVar idle_;
  size_t helpers_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

void RunParallel(Executor* executor, size_t count, const std::function<void(size_t)>& work) {
  const auto shared = std::make_shared<Shared>(count, work);
  for (size_t i = 1; executor != nullptr && i < count; ++i) {
    if (!executor->Schedule([shared] { shared->Help(); })) break;
  }
  shared->Work();
  shared->Close();
}

}  // namespace dmcached
