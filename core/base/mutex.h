// A std::mutex with clang's thread-safety annotations.  Used instead of absl::Mutex, which is packaged without
// instrumentation and so hides its ordering from ThreadSanitizer.
#ifndef DMCACHED_CORE_BASE_MUTEX_H_
#define DMCACHED_CORE_BASE_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "core/base/pause.h"

namespace dmcached {

class ABSL_LOCKABLE Mutex {
 public:
  // Looks again for some microseconds before it sleeps: whoever sleeps costs the holder a system call to wake it, which
  // is longer than most holds.
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    if (!TryLock(100)) mutex_.lock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  // Looks `tries` times, some 30 to 100 ns apart.
  bool TryLock(int tries = 1) ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) {
    for (; !mutex_.try_lock(); PauseProcessor()) {
      if (--tries <= 0) return false;
    }
    return true;
  }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

class CondVar {
 public:
  // Waits for a notification, or wakes spuriously; the caller tests its condition in a loop.
  void Wait(Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // The same, at most until `timeout` is over.
  void WaitFor(Mutex& mutex, std::chrono::nanoseconds timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait_for(lock, timeout);
    lock.release();
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_MUTEX_H_
