#include "core/base/parallel.h"

#include <atomic>
#include <memory>

#include "core/base/admission.h"

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
    if (!admission_.Enter()) return;
    Work();
    admission_.Leave();
  }

  // Nobody begins after this; returns when those who did are through.
  void Close() { admission_.Close(); }

 private:
  const size_t count_;
  const std::function<void(size_t)>* const work_;  // The caller's: not used once closed.
  std::atomic<size_t> next_{0};
  Admission admission_;
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
