#include "core/base/mutex.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace dmcached {
namespace {

// Another thread has the mutex until this is destroyed.
class Held {
 public:
  explicit Held(Mutex& mutex) {
    std::atomic<bool> locked{false};
    holder_ = std::thread([this, &mutex, &locked] {
      MutexLock lock(mutex);
      locked = true;
      while (!release_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
    while (!locked) std::this_thread::yield();
  }
  ~Held() {
    Release();
    holder_.join();
  }
  void Release() { release_ = true; }

 private:
  std::atomic<bool> release_{false};
  std::thread holder_;
};

TEST(MutexTest, TryLockGivesUpHoweverOftenItMayLook) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Mutex mutex;
  {
    const Held held(mutex);
    EXPECT_FALSE(mutex.TryLock());
    EXPECT_FALSE(mutex.TryLock(1000));
  }
  ASSERT_TRUE(mutex.TryLock(1000));
  mutex.Unlock();
  ASSERT_TRUE(mutex.TryLock());
  mutex.Unlock();
}

TEST(MutexTest, LockWaitsForAHolderWhoTakesLong) {
  Mutex mutex;
  Held held(mutex);
  std::atomic<bool> entered{false};
  std::thread waiter([&] {
    MutexLock lock(mutex);
    entered = true;
  });
  // Far longer than it looks again before it sleeps.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(entered);
  held.Release();
  waiter.join();
  EXPECT_TRUE(entered);
}

TEST(MutexTest, OneAtATimeWhetherTheyLookOrSleep) {
  constexpr int kRounds = 20000;
  Mutex mutex;
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        MutexLock lock(mutex);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 4 * kRounds);
}

}  // namespace
}  // namespace dmcached
