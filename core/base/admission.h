// Lets others use an object until its end, which waits for those who came in.
#ifndef DMCACHED_CORE_BASE_ADMISSION_H_
#define DMCACHED_CORE_BASE_ADMISSION_H_

#include <cstddef>

#include "core/base/mutex.h"

namespace dmcached {

// Shared by the object and by all who may use it, so that it outlives both.
class Admission {  // Thread-safe.
 public:
  // False: it is closed, the object must not be used.
  bool Enter() {
    MutexLock lock(mutex_);
    if (closed_) return false;
    ++inside_;
    return true;
  }
  // Once for every Enter that was true.
  void Leave() {
    MutexLock lock(mutex_);
    if (--inside_ == 0) empty_.NotifyAll();
  }
  // Nobody enters any more; returns when all who did have left.
  void Close() {
    MutexLock lock(mutex_);
    closed_ = true;
    while (inside_ != 0) empty_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar empty_;
  size_t inside_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_ADMISSION_H_
