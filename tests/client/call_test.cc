// Unary calls: request ids, incarnations, repeats, reasons, deadlines.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "dmcached/client.h"
#include "tests/client/fake_service.h"

namespace dmcached::client {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr uint64_t kIncarnation = 0x1122334455667788;

const grpc::Status kLostConnection(grpc::StatusCode::UNAVAILABLE, "Socket closed");

class CallTest : public testing::Test {
 protected:
  CallTest() {
    daemon_.cache.on_GetCache = [this](grpc::ServerContext*, const v1::GetCacheRequest&, v1::GetCacheResponse& answer) {
      ++get_cache_calls_;
      answer.mutable_cache()->set_incarnation(kIncarnation);
      return grpc::Status::OK;
    };
    daemon_.metadata.on_MarkDirty = [this](grpc::ServerContext*, const v1::MarkDirtyRequest& request,
                                           v1::MarkDirtyResponse& answer) {
      const size_t count = requests_.Add(request);
      answer.mutable_result()->set_incarnation(kIncarnation);
      answer.mutable_result()->set_revision(count);
      return count <= script_.size() ? script_[count - 1] : grpc::Status::OK;
    };
  }

  ClientOptions Options() const {
    return {.address = daemon_.address(), .repeat_for = milliseconds(5000), .first_pause = milliseconds(1)};
  }

  absl::StatusOr<MutationResult> Mark(Client& client, const MutationOptions& options = {}) {
    return client.Apply("c", MarkDirtyBatch{.cblocks = cblocks_}, options);
  }

  FakeDaemon daemon_;
  const std::vector<uint32_t> cblocks_ = {3, 5};
  Record<grpc::Status> script_;  // Answers to the first calls; OK after them.
  Record<v1::MarkDirtyRequest> requests_;
  std::atomic<int> get_cache_calls_ = 0;
};

TEST_F(CallTest, FillsInARandomRequestIdAndTheIncarnationOfGetCache) {
  Client client(Options());
  ASSERT_TRUE(Mark(client).ok());
  ASSERT_TRUE(Mark(client).ok());
  ASSERT_EQ(requests_.size(), 2u);
  EXPECT_THAT(requests_[0].options().request_id(), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(requests_[1].options().request_id(), MatchesRegex("[0-9a-f]{32}"));
  EXPECT_NE(requests_[0].options().request_id(), requests_[1].options().request_id());
  EXPECT_EQ(requests_[0].options().incarnation(), kIncarnation);
  EXPECT_EQ(requests_[1].options().incarnation(), kIncarnation);
  EXPECT_EQ(get_cache_calls_, 1) << "the incarnation is asked for once";
  EXPECT_THAT(requests_[0].cblocks(), ElementsAre(3, 5));
}

TEST_F(CallTest, UsesTheCallersIdIncarnationAndConditions) {
  Client client(Options());
  MutationOptions options;
  options.request_id = "mine";
  options.incarnation = 7;
  options.expected_revision = 9;
  options.durable = true;
  ASSERT_TRUE(Mark(client, options).ok());
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].options().request_id(), "mine");
  EXPECT_EQ(requests_[0].options().incarnation(), 7u);
  EXPECT_EQ(requests_[0].options().expected_revision(), 9u);
  EXPECT_TRUE(requests_[0].options().durable());
  EXPECT_EQ(get_cache_calls_, 0);
}

TEST_F(CallTest, RepeatsWhatGotNoAnswerWithTheSameBytes) {
  script_.Set({kLostConnection, grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "late"),
               grpc::Status(grpc::StatusCode::CANCELLED, "the daemon stops"), grpc::Status::OK});
  Client client(Options());
  const absl::StatusOr<MutationResult> result = Mark(client);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->revision, 4u);
  ASSERT_EQ(requests_.size(), 4u);
  EXPECT_EQ(requests_[1].SerializeAsString(), requests_[0].SerializeAsString());
  EXPECT_EQ(requests_[2].SerializeAsString(), requests_[0].SerializeAsString());
  EXPECT_EQ(requests_[3].SerializeAsString(), requests_[0].SerializeAsString());
}

TEST_F(CallTest, StopsRepeatingWhenTheBoundIsReached) {
  script_.Set(std::vector(100, kLostConnection));
  ClientOptions options = Options();
  options.repeat_for = milliseconds(0);
  Client client(options);
  const absl::Status status = Mark(client).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(OutcomeUnknown(status));
  EXPECT_EQ(requests_.size(), 1u);
}

TEST_F(CallTest, DoesNotKnowTheOutcomeWhenTheDaemonGoesAwayAfterACopyWasSent) {
  std::promise<void> received;
  daemon_.metadata.on_MarkDirty = [&](grpc::ServerContext*, const v1::MarkDirtyRequest&, v1::MarkDirtyResponse&) {
    if (requests_.Add({}) == 1) received.set_value();
    return kLostConnection;
  };
  ClientOptions options = Options();
  options.repeat_for = milliseconds(300);
  Client client(options);
  absl::Status status;
  std::thread caller([&] { status = Mark(client).status(); });
  received.get_future().wait();
  daemon_.Stop();
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(OutcomeUnknown(status)) << status;
  EXPECT_FALSE(NeverSent(status)) << "an earlier copy was";
}

TEST_F(CallTest, ReportsIncarnationChangedAndNeverRepeats) {
  script_.Set(
      std::vector(100, ServiceError(grpc::StatusCode::ABORTED, "INCARNATION_CHANGED", "the cache was opened anew")));
  Client client(Options());
  const absl::Status status = Mark(client).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(status), "INCARNATION_CHANGED");
  EXPECT_FALSE(OutcomeUnknown(status)) << "no earlier copy was sent";
  EXPECT_EQ(requests_.size(), 1u);
  // It keeps the old one until an answer about the cache tells the new one: decisions from before are not let through.
  EXPECT_FALSE(Mark(client).ok());
  EXPECT_EQ(requests_[1].options().incarnation(), kIncarnation);
  EXPECT_EQ(get_cache_calls_, 1);
}

TEST_F(CallTest, SaysThatAnEarlierCopyMayHaveHappenedWhenTheIncarnationChangedInBetween) {
  script_.Set({kLostConnection, ServiceError(grpc::StatusCode::ABORTED, "INCARNATION_CHANGED", "opened anew")});
  Client client(Options());
  const absl::Status status = Mark(client).status();
  EXPECT_EQ(ReasonOf(status), "INCARNATION_CHANGED");
  EXPECT_TRUE(OutcomeUnknown(status));
  EXPECT_EQ(requests_.size(), 2u);
}

TEST_F(CallTest, WhatTheCachesStateRefusesSaysNothingAboutAnEarlierCopy) {
  for (const char* reason : {"NEEDS_CHECK", "READ_ONLY", "OPERATION_PENDING", "CACHE_FAILED"}) {
    requests_.Set({});
    script_.Set({kLostConnection, ServiceError(grpc::StatusCode::FAILED_PRECONDITION, reason, "not now")});
    Client client(Options());
    const absl::Status status = Mark(client).status();
    EXPECT_EQ(ReasonOf(status), reason);
    EXPECT_TRUE(OutcomeUnknown(status)) << reason;
  }
  requests_.Set({});
  script_.Set({kLostConnection, ServiceError(grpc::StatusCode::FAILED_PRECONDITION, "NOT_MAPPED", "cblock 3")});
  Client client(Options());
  EXPECT_FALSE(OutcomeUnknown(Mark(client).status())) << "it was judged: the first copy did not happen either";
}

TEST_F(CallTest, LearnsTheIncarnationFromAnyAnswer) {
  daemon_.metadata.on_LookupMappings = [](grpc::ServerContext*, const v1::LookupMappingsRequest&,
                                          v1::LookupMappingsResponse& answer) {
    answer.add_mapped(false);
    answer.add_cblocks(3);
    answer.add_oblocks(0);
    answer.add_dirty(false);
    answer.set_incarnation(99);
    return grpc::Status::OK;
  };
  Client client(Options());
  ASSERT_TRUE(client.LookupCblocks("c", std::vector<uint32_t>{3}).ok());
  ASSERT_TRUE(Mark(client).ok());
  EXPECT_EQ(requests_[0].options().incarnation(), 99u);
  EXPECT_EQ(get_cache_calls_, 0);
}

TEST_F(CallTest, RetriesOverloadedAFewTimesAndThenReports) {
  script_.Set(std::vector(100, ServiceError(grpc::StatusCode::UNAVAILABLE, "OVERLOADED", "the queue is full")));
  ClientOptions options = Options();
  options.overloaded_retries = 2;
  Client client(options);
  const absl::Status status = Mark(client).status();
  EXPECT_EQ(ReasonOf(status), "OVERLOADED");
  EXPECT_FALSE(OutcomeUnknown(status));
  EXPECT_EQ(requests_.size(), 3u);
}

TEST_F(CallTest, ReportsReserveHoldoffAtOnce) {
  std::atomic<int> calls = 0;
  daemon_.metadata.on_ReserveCblocks = [&](grpc::ServerContext*, const v1::ReserveCblocksRequest&,
                                           v1::ReserveCblocksResponse&) {
    ++calls;
    return ServiceError(grpc::StatusCode::UNAVAILABLE, "RESERVE_HOLDOFF", "wait 12 s");
  };
  Client client(Options());
  EXPECT_EQ(ReasonOf(client.ReserveCblocks("c", 1, 0).status()), "RESERVE_HOLDOFF");
  EXPECT_EQ(calls, 1);
}

TEST_F(CallTest, DoesNotRepeatWhatCarriesNoRequestId) {
  std::atomic<int> calls = 0;
  daemon_.metadata.on_ReserveCblocks = [&](grpc::ServerContext*, const v1::ReserveCblocksRequest&,
                                           v1::ReserveCblocksResponse&) {
    ++calls;
    return kLostConnection;
  };
  Client client(Options());
  EXPECT_EQ(client.ReserveCblocks("c", 1, 0).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(calls, 1);
}

TEST_F(CallTest, CarriesReasonItemAndDetails) {
  script_.Set({ServiceError(grpc::StatusCode::FAILED_PRECONDITION, "NOT_MAPPED", "mark dirty: cblock 5 is not mapped",
                            {{"item", "1"}, {"extra", "x"}})});
  Client client(Options());
  const absl::Status status = Mark(client).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(), "mark dirty: cblock 5 is not mapped");
  EXPECT_EQ(ReasonOf(status), "NOT_MAPPED");
  EXPECT_EQ(ItemOf(status), 1u);
  EXPECT_EQ(DetailOf(status, "extra"), "x");
  EXPECT_EQ(DetailOf(status, "missing"), std::nullopt);
  EXPECT_EQ(ReasonOf(absl::OkStatus()), "");
}

TEST_F(CallTest, SetsADeadlineOfThirtySecondsForUnaryCallsAndNoneForCreate) {
  const auto now = std::chrono::system_clock::now();
  std::atomic<std::chrono::system_clock::time_point> stats_deadline;
  std::atomic<std::chrono::system_clock::time_point> create_deadline;
  daemon_.metadata.on_GetStats = [&](grpc::ServerContext* context, const v1::GetStatsRequest&, v1::GetStatsResponse&) {
    stats_deadline = context->deadline();
    return grpc::Status::OK;
  };
  daemon_.cache.on_CreateCache = [&](grpc::ServerContext* context, const v1::CreateCacheRequest&,
                                     v1::CreateCacheResponse&) {
    create_deadline = context->deadline();
    return grpc::Status::OK;
  };
  Client client(Options());
  ASSERT_TRUE(client.GetStats("c").ok());
  ASSERT_TRUE(client.CreateCache({.name = "c"}).ok());
  EXPECT_GT(stats_deadline.load(), now + std::chrono::seconds(29));
  EXPECT_LT(stats_deadline.load(), now + std::chrono::hours(1));
  EXPECT_GT(create_deadline.load(), now + std::chrono::hours(24 * 365));
}

TEST_F(CallTest, GivesUpAtTheDeadlineOfTheCall) {
  daemon_.metadata.on_GetStats = [](grpc::ServerContext* context, const v1::GetStatsRequest&, v1::GetStatsResponse&) {
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::OK;
  };
  Client client(Options());
  CallOptions options;
  options.timeout = milliseconds(20);
  options.repeat_for = milliseconds(0);
  const absl::Status status = client.GetStats("c", options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(ReasonOf(status), "");
}

TEST_F(CallTest, SaysThatNothingWasSentWhenThereIsNoDaemon) {
  daemon_.Stop();
  Client client(Options());
  const absl::Status status = Mark(client).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(NeverSent(status));
  EXPECT_FALSE(OutcomeUnknown(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(daemon_.address()));
}

TEST_F(CallTest, FindsTheDaemonAgainAfterARestart) {
  Client client(Options());
  ASSERT_TRUE(Mark(client).ok());
  daemon_.Stop();
  MutationOptions once;
  once.repeat_for = milliseconds(0);
  EXPECT_EQ(Mark(client, once).status().code(), absl::StatusCode::kUnavailable);
  daemon_.Start();
  const absl::Status status = Mark(client).status();
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(CallTest, ReportsHealth) {
  daemon_.health.on_Check = [](grpc::ServerContext*, const grpc::health::v1::HealthCheckRequest& request,
                               grpc::health::v1::HealthCheckResponse& answer) {
    if (request.service() == "unknown") return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such service");
    answer.set_status(request.service().empty() ? grpc::health::v1::HealthCheckResponse::SERVING
                                                : grpc::health::v1::HealthCheckResponse::NOT_SERVING);
    return grpc::Status::OK;
  };
  Client client(Options());
  EXPECT_EQ(*client.CheckHealth(""), Health::kServing);
  EXPECT_EQ(*client.CheckHealth("cache/c"), Health::kNotServing);
  EXPECT_EQ(*client.CheckHealth("unknown"), Health::kServiceUnknown);
}

}  // namespace
}  // namespace dmcached::client
