// Where paths are followed; who may do what is in tests/e2e/authorization_test.cc.
#include "server/authorization.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "dmcached/v1/cache_service.pb.h"
#include "spdlog/logger.h"
#include "tests/support/manual_executor.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"
#include "tests/support/thread_per_task.h"

namespace dmcached {
namespace {

class CheckOnTest : public testing::Test {
 protected:
  CheckOnTest() {
    config_.unix_role = Role::kReader;
    config_.allowed_paths = {folder_.File("*")};
  }

  // What is said about the request goes to `told_`.
  void Check(Executor& follower, const google::protobuf::Message& request) {
    authorization_.emplace(config_, calls_in_flight_, log_);
    authorization_->CheckOn(follower, Caller(), request, [this](const absl::Status& allowed) { told_ = allowed; });
  }
  static v1::ProbeCacheRequest Probe(const std::string& path) {
    v1::ProbeCacheRequest request;
    request.set_metadata_path(path);
    return request;
  }

  const TempDir folder_;
  Config config_;
  const CallsInFlight calls_in_flight_{1000};
  const Log log_{std::make_shared<spdlog::logger>("test")};
  ManualExecutorFactory executors_;
  std::optional<Authorization> authorization_;
  std::optional<absl::Status> told_;
};

TEST_F(CheckOnTest, PathsAreFollowedOnTheFollower) {
  Check(executors_.readers(), Probe(folder_.File("x")));
  EXPECT_FALSE(told_.has_value());
  executors_.RunUntilIdle();
  ASSERT_TRUE(told_.has_value());
  EXPECT_THAT(*told_, IsOk());
  Check(executors_.readers(), Probe("/dev/null"));
  executors_.RunUntilIdle();
  EXPECT_THAT(*told_, HasReasonIs(Reason::kPathNotAllowed));
}

TEST_F(CheckOnTest, WhatNeedsNoPathFollowedIsToldAtOnce) {
  Check(executors_.readers(), v1::GetCacheRequest());
  ASSERT_TRUE(told_.has_value());
  EXPECT_THAT(*told_, IsOk());
  v1::OpenCacheRequest open;
  open.set_metadata_path(folder_.File("x"));
  Check(executors_.readers(), open);
  EXPECT_THAT(*told_, HasReasonIs(Reason::kRoleTooLow));
  config_.allowed_paths = std::nullopt;
  Check(executors_.readers(), Probe("/dev/null"));
  EXPECT_THAT(*told_, IsOk());
}

TEST_F(CheckOnTest, AFullFollowerRefuses) {
  ThreadPerTask full(/*capacity=*/0);
  Check(full, Probe(folder_.File("x")));
  ASSERT_TRUE(told_.has_value());
  EXPECT_THAT(*told_, HasReasonIs(Reason::kOverloaded));
}

}  // namespace
}  // namespace dmcached
