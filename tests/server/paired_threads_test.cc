#include "server/paired_threads.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace dmcached {
namespace {

// Until both threads of a new pair have begun to wait; the tests hold without it, but may then see less.
void LetThreadsWait() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

TEST(PairedThreadsTest, EachSideKeepsItsOrder) {
  std::vector<int> first;
  std::vector<int> second;
  {
    const SerialPair pair = PairedThreads::New("a name that is longer than 15 characters");
    for (int i = 0; i < 2000; ++i) {
      ASSERT_TRUE(pair.first->Schedule([&first, i] { first.push_back(i); }));
      ASSERT_TRUE(pair.second->Schedule([&second, i] { second.push_back(i); }));
    }
  }
  ASSERT_EQ(first.size(), 2000u);
  ASSERT_EQ(second.size(), 2000u);
  for (int i = 0; i < 2000; ++i) {
    ASSERT_EQ(first[static_cast<size_t>(i)], i);
    ASSERT_EQ(second[static_cast<size_t>(i)], i);
  }
}

TEST(PairedThreadsTest, WhatTasksGiveToTheOtherSideRunsBeforeThatSideGoes) {
  int ran = 0;
  std::function<void(int)> hand_over;  // Outlives the threads.
  {
    SerialPair pair = PairedThreads::New("test");
    hand_over = [&](int left) {
      ++ran;
      if (left == 0) return;
      Executor& other = *(left % 2 == 0 ? pair.second : pair.first);
      ASSERT_TRUE(other.Schedule([&hand_over, left] { hand_over(left - 1); }));
    };
    std::promise<void> begun;
    ASSERT_TRUE(pair.second->Schedule([&] {
      begun.set_value();
      hand_over(1);
    }));
    begun.get_future().wait();
    pair.second.reset();
  }
  EXPECT_EQ(ran, 2);
}

TEST(PairedThreadsTest, ATaskThatBlocksDoesNotHoldUpTheOtherSide) {
  for (const bool first_blocks : {true, false}) {
    const SerialPair pair = PairedThreads::New("test");
    Executor& blocked = first_blocks ? *pair.first : *pair.second;
    Executor& other = first_blocks ? *pair.second : *pair.first;
    std::promise<void> go;
    std::promise<void> ran;
    LetThreadsWait();
    // Handed over by a task, which must not leave it to a thread that will be blocked.
    ASSERT_TRUE(blocked.Schedule([&] {
      other.Schedule([&] { ran.set_value(); });
      blocked.Schedule([&] { go.get_future().wait(); });
    }));
    ran.get_future().wait();
    std::promise<void> ran_again;
    ASSERT_TRUE(other.Schedule([&] { ran_again.set_value(); }));
    ran_again.get_future().wait();
    go.set_value();
  }
}

TEST(PairedThreadsTest, WhatATaskGivesToTheOtherSideGoesOnInItsThread) {
  // The other thread may happen to be awake once, not always.
  bool same = false;
  for (int attempt = 0; attempt < 20 && !same; ++attempt) {
    const SerialPair pair = PairedThreads::New("test");
    std::promise<std::thread::id> gave;
    std::promise<std::thread::id> went_on;
    LetThreadsWait();
    ASSERT_TRUE(pair.first->Schedule([&] {
      pair.second->Schedule([&] { went_on.set_value(std::this_thread::get_id()); });
      std::this_thread::sleep_for(std::chrono::milliseconds(20));  // Long enough for one that was woken.
      gave.set_value(std::this_thread::get_id());
    }));
    same = gave.get_future().get() == went_on.get_future().get();
  }
  EXPECT_TRUE(same);
}

TEST(PairedThreadsTest, WhatIsToWaitRunsLaterAndInOrder) {
  const SerialPair pair = PairedThreads::New("test");
  LetThreadsWait();
  std::vector<int> order;
  std::promise<void> done;
  const auto began = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point ran;
  pair.first->ScheduleAfter(std::chrono::milliseconds(30), [&] {
    order.push_back(3);
    done.set_value();
  });
  pair.first->ScheduleAfter(std::chrono::milliseconds(15), [&] {
    order.push_back(2);
    ran = std::chrono::steady_clock::now();
  });
  pair.first->Schedule([&] { order.push_back(1); });
  done.get_future().wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(ran - began, std::chrono::milliseconds(15));
}

TEST(PairedThreadsTest, WhatIsToWaitRunsBeforeItsSideGoes) {
  bool ran = false;
  {
    const SerialPair pair = PairedThreads::New("test");
    pair.second->ScheduleAfter(std::chrono::hours(1), [&] { ran = true; });
  }
  EXPECT_TRUE(ran);
}

// The process's address space cannot grow by a thread's stack while it lives.
class NoRoomForStacks {
 public:
  NoRoomForStacks() {
    getrlimit(RLIMIT_AS, &before_);
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    constexpr rlim_t kSlack = 2 << 20;
    const rlimit now{.rlim_cur = pages * static_cast<rlim_t>(getpagesize()) + kSlack, .rlim_max = before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_AS, &now), 0);
  }
  ~NoRoomForStacks() { setrlimit(RLIMIT_AS, &before_); }
  NoRoomForStacks(const NoRoomForStacks&) = delete;
  NoRoomForStacks& operator=(const NoRoomForStacks&) = delete;

 private:
  rlimit before_;
};

TEST(PairedThreadsTest, WithoutThreadsLeftThereIsNoPairAndLaterThereIs) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer takes memory of its own";
#endif
  constexpr int kMore = 100;  // Than stacks of threads that have ended, which are used again.
  std::vector<SerialPair> pairs;
  {
    const NoRoomForStacks no_room;
    while (pairs.size() < kMore && (pairs.empty() || pairs.back().first != nullptr)) {
      pairs.push_back(PairedThreads::New("test"));
    }
  }
  EXPECT_EQ(pairs.back().first, nullptr);
  EXPECT_EQ(pairs.back().second, nullptr);
  EXPECT_NE(PairedThreads::New("test").first, nullptr);
}

}  // namespace
}  // namespace dmcached
