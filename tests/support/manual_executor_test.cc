#include "tests/support/manual_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace dmcached {
namespace {

using testing::ElementsAre;

TEST(ManualExecutorTest, TasksRunOnlyWhenToldAndInOrder) {
  ManualExecutorFactory executors;
  const auto a = executors.NewSerialExecutor("a");
  const auto b = executors.NewSerialExecutor("b");
  std::vector<std::string> ran;
  a->Schedule([&] {
    ran.emplace_back("a1");
    a->Schedule([&] { ran.emplace_back("a2"); });
  });
  b->Schedule([&] { ran.emplace_back("b1"); });
  EXPECT_THAT(ran, ElementsAre());
  EXPECT_TRUE(executors.RunOne());
  EXPECT_THAT(ran, ElementsAre("a1"));
  EXPECT_EQ(executors.queued(), 2u);
  EXPECT_EQ(executors.RunUntilIdle(), 2u);
  EXPECT_THAT(ran, ElementsAre("a1", "b1", "a2"));
  EXPECT_FALSE(executors.RunOne());
}

TEST(ManualExecutorTest, DestructionRunsWhatWasTaken) {
  ManualExecutorFactory executors;
  auto a = executors.NewSerialExecutor("a");
  const auto b = executors.NewSerialExecutor("b");
  std::vector<std::string> ran;
  b->Schedule([&] { ran.emplace_back("b1"); });
  a->Schedule([&ran, self = a.get()] { self->Schedule([&ran] { ran.emplace_back("a1"); }); });
  a.reset();
  EXPECT_THAT(ran, ElementsAre("a1"));
  executors.RunUntilIdle();
  EXPECT_THAT(ran, ElementsAre("a1", "b1"));
}

std::string RunShuffled(uint64_t seed) {
  ManualExecutorFactory executors(seed);
  std::string ran;
  const auto a = executors.NewSerialExecutor("a");
  for (const char name : {'1', '2', '3'}) {
    a->Schedule([&ran, name] { ran += name; });
    executors.readers().Schedule([&ran, name] { ran += static_cast<char>(name - '1' + 'x'); });
  }
  executors.RunUntilIdle();
  return ran;
}

TEST(ManualExecutorTest, SeedInterleavesExecutorsButKeepsEachInOrder) {
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const std::string order = RunShuffled(seed);
    EXPECT_EQ(order, RunShuffled(seed));
    EXPECT_LT(order.find('1'), order.find('2'));
    EXPECT_LT(order.find('2'), order.find('3'));
    EXPECT_LT(order.find('x'), order.find('y'));
    EXPECT_LT(order.find('y'), order.find('z'));
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 20u);  // All interleavings of three and three.
}

TEST(ManualExecutorTest, TaskRunsOthersButNeverOneOfItsOwnExecutor) {
  for (const std::optional<uint64_t> seed : {std::optional<uint64_t>(), std::optional<uint64_t>(7)}) {
    ManualExecutorFactory executors(seed);
    const auto a = executors.NewSerialExecutor("a");
    const auto b = executors.NewSerialExecutor("b");
    std::string ran;
    a->Schedule([&] {
      ran += '(';
      while (executors.RunOne()) {
      }
      ran += ')';
    });
    a->Schedule([&ran] { ran += 'a'; });
    b->Schedule([&ran] { ran += 'b'; });
    executors.RunUntilIdle();
    EXPECT_THAT(ran, testing::AnyOf("(b)a", "b()a"));
  }
}

}  // namespace
}  // namespace dmcached
