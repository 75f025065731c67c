#include "core/cache/waiters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class WaitersTest : public testing::Test {
 protected:
  void Wait(uint64_t transaction, const std::string& name) {
    waiters_.Add(transaction, [this, name](const absl::StatusOr<uint64_t>& durable) {
      answered_.push_back(name + (durable.ok() ? std::to_string(*durable) : "!"));
    });
  }

  Waiters waiters_;
  std::vector<std::string> answered_;
};

TEST_F(WaitersTest, SettlesWhatIsDurableInOrderOfTransactions) {
  Wait(2, "b");
  Wait(1, "a");
  Wait(2, "c");
  Wait(3, "d");
  {
    Answers answers;
    waiters_.Settle(2, 2, answers);
    EXPECT_THAT(answered_, IsEmpty());
  }
  EXPECT_THAT(answered_, ElementsAre("a2", "b2", "c2"));
  EXPECT_FALSE(waiters_.empty());
}

TEST_F(WaitersTest, TakeThroughLeavesLaterOnes) {
  Wait(1, "a");
  Wait(2, "b");
  Waiters taken = waiters_.TakeThrough(1);
  {
    Answers answers;
    waiters_.SettleAll(absl::AbortedError("lost"), answers);
  }
  EXPECT_THAT(answered_, ElementsAre("b!"));
  {
    Answers answers;
    taken.SettleAll(absl::UnknownError("unknown"), answers);
  }
  EXPECT_THAT(answered_, ElementsAre("b!", "a!"));
  EXPECT_TRUE(waiters_.empty());
}

}  // namespace
}  // namespace dmcached
