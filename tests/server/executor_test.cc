#include "server/executor.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <vector>

namespace dmcached {
namespace {

TEST(ThreadPoolTest, RunsEverythingThatWasTakenBeforeItGoes) {
  std::atomic<int> ran{0};
  {
    ThreadPool pool("test", 3, 1000);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(pool.Schedule([&ran] { ++ran; }));
  }
  EXPECT_EQ(ran, 500);
}

TEST(ThreadPoolTest, RefusesAndCountsWhatDoesNotFit) {
  std::promise<void> begun;
  std::promise<void> go;
  bool dropped_ran = false;
  {
    ThreadPool pool("test", 1, 2);
    ASSERT_TRUE(pool.Schedule([&begun, wait = go.get_future()]() mutable {
      begun.set_value();
      wait.wait();
    }));
    begun.get_future().wait();  // The running task does not count as waiting.
    EXPECT_TRUE(pool.Schedule([] {}));
    EXPECT_TRUE(pool.Schedule([] {}));
    EXPECT_FALSE(pool.Schedule([&dropped_ran] { dropped_ran = true; }));
    EXPECT_EQ(pool.depth(), 2u);
    EXPECT_EQ(pool.rejected(), 1u);
    go.set_value();
  }
  EXPECT_FALSE(dropped_ran);
}

TEST(ThreadPoolTest, NeverRunsATaskInsideSchedule) {
  ThreadPool pool("test", 1, 10);
  std::promise<std::thread::id> ran_on;
  ASSERT_TRUE(pool.Schedule([&ran_on] { ran_on.set_value(std::this_thread::get_id()); }));
  EXPECT_NE(ran_on.get_future().get(), std::this_thread::get_id());
}

TEST(ThreadExecutorFactoryTest, SerialExecutorKeepsTheOrder) {
  ThreadExecutorFactory factory;
  std::vector<int> order;
  {
    const std::unique_ptr<Executor> serial = factory.NewSerialExecutor("a name that is longer than 15 characters");
    for (int i = 0; i < 2000; ++i) ASSERT_TRUE(serial->Schedule([&order, i] { order.push_back(i); }));
  }
  ASSERT_EQ(order.size(), 2000u);
  for (int i = 0; i < 2000; ++i) ASSERT_EQ(order[static_cast<size_t>(i)], i);
}

}  // namespace
}  // namespace dmcached
