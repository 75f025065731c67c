// MutateStream: order, bounded flight, errors that name their batch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <vector>

#include "dmcached/client.h"
#include "tests/client/fake_service.h"

namespace dmcached::client {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using Call = FakeMetadataService::MutateCall;

v1::MutateResponse Applied(uint64_t batch, uint64_t durable_through) {
  v1::MutateResponse response;
  v1::MutateResponse::Applied* applied = response.add_applied();
  applied->set_batch(batch);
  applied->set_revision(100 + batch);
  applied->set_transaction(7);
  response.set_durable_through(durable_through);
  return response;
}

class MutateStreamTest : public testing::Test {
 protected:
  MutateStreamTest() {
    daemon_.cache.on_GetCache = [](grpc::ServerContext*, const v1::GetCacheRequest&, v1::GetCacheResponse& answer) {
      answer.mutable_cache()->set_incarnation(77);
      return grpc::Status::OK;
    };
  }

  absl::StatusOr<uint64_t> SendOne(MutateStream& stream) { return stream.Send(MarkDirtyBatch{.cblocks = cblocks_}); }

  FakeDaemon daemon_;
  const std::vector<uint32_t> cblocks_ = {1, 2, 3};
};

TEST_F(MutateStreamTest, SendsNumberedBatchesAndReturnsTheFinalDurableThrough) {
  Record<v1::MutateRequest> seen;
  daemon_.metadata.on_Mutate = [&](grpc::ServerContext*, Call& call) {
    v1::MutateRequest request;
    while (call.Read(&request)) {
      seen.Add(request);
      if (request.batch() != 0) call.Write(Applied(request.batch(), 0));
    }
    v1::MutateResponse last;
    last.set_durable_through(2);
    last.set_durable_transaction(7);
    call.Write(last);
    return grpc::Status::OK;
  };
  Client client({.address = daemon_.address()});
  absl::StatusOr<MutateStream> stream = client.Mutate("c");
  ASSERT_TRUE(stream.ok()) << stream.status();
  EXPECT_EQ(*SendOne(*stream), 1u);
  const std::vector<BlockRange> ranges = {{4, 8}};
  EXPECT_EQ(*stream->Send(SetDiscardsBatch{.ranges = ranges}, {.request_id = "mine", .durable = true}), 2u);
  const absl::StatusOr<StreamResult> result = stream->Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->applied_through, 2u);
  EXPECT_EQ(result->durable_through, 2u);
  EXPECT_EQ(result->durable_transaction, 7u);
  EXPECT_EQ(result->revision, 102u);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].cache(), "c");
  EXPECT_TRUE(seen[0].stop_on_error());
  EXPECT_THAT(seen[1].mark_dirty().options().request_id(), SizeIs(32));
  EXPECT_EQ(seen[1].mark_dirty().options().incarnation(), 77u);
  EXPECT_EQ(seen[2].set_discards().options().request_id(), "mine");
  EXPECT_TRUE(seen[2].set_discards().options().durable());
  EXPECT_EQ(seen[2].set_discards().ranges(0).end(), 8u);
}

TEST_F(MutateStreamTest, NeverHasMoreInFlightThanAllowed) {
  constexpr uint64_t kBatches = 50;
  constexpr uint64_t kMaxInFlight = 3;
  std::promise<void> may_answer;
  std::future<void> allowed = may_answer.get_future();
  std::atomic<uint64_t> sent = 0;
  std::atomic<uint64_t> most_ahead = 0;
  daemon_.metadata.on_Mutate = [&](grpc::ServerContext*, Call& call) {
    v1::MutateRequest request;
    call.Read(&request);
    allowed.wait();  // The sender has filled what it may send.
    for (uint64_t batch = 1; batch <= kBatches; ++batch) {
      if (!call.Read(&request)) return grpc::Status(grpc::StatusCode::INTERNAL, "too few batches");
      most_ahead = std::max(most_ahead.load(), sent.load() - (batch - 1));
      call.Write(Applied(batch, 0));
    }
    if (call.Read(&request)) return grpc::Status(grpc::StatusCode::INTERNAL, "too many batches");
    call.Write(Applied(kBatches, kBatches));
    return grpc::Status::OK;
  };
  Client client({.address = daemon_.address()});
  absl::StatusOr<MutateStream> stream = client.Mutate("c", {.max_in_flight = kMaxInFlight});
  ASSERT_TRUE(stream.ok()) << stream.status();
  for (uint64_t batch = 1; batch <= kBatches; ++batch) {
    if (batch == kMaxInFlight + 1) may_answer.set_value();
    ASSERT_TRUE(SendOne(*stream).ok());
    sent = batch;
  }
  ASSERT_TRUE(stream->Flush().ok());
  EXPECT_EQ(stream->progress().applied_through, kBatches);
  EXPECT_EQ(stream->Finish()->durable_through, kBatches);
  EXPECT_LE(most_ahead, kMaxInFlight);
  EXPECT_GE(most_ahead, 1u);
}

TEST_F(MutateStreamTest, NamesTheBatchThatEndedTheStream) {
  daemon_.metadata.on_Mutate = [](grpc::ServerContext*, Call& call) {
    v1::MutateRequest request;
    call.Read(&request);
    call.Read(&request);
    call.Write(Applied(1, 1));
    call.Read(&request);
    return ServiceError(grpc::StatusCode::FAILED_PRECONDITION, "NOT_MAPPED", "cblock 2 is not mapped", {{"item", "1"}});
  };
  Client client({.address = daemon_.address()});
  absl::StatusOr<MutateStream> stream = client.Mutate("c");
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE(SendOne(*stream).ok());
  ASSERT_TRUE(SendOne(*stream).ok());
  const absl::Status status = stream->Finish().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), "NOT_MAPPED");
  EXPECT_EQ(BatchOf(status), 2u);
  EXPECT_EQ(ItemOf(status), 1u);
  EXPECT_THAT(std::string(status.message()), HasSubstr("batch 2: "));
  EXPECT_EQ(stream->progress().durable_through, 1u);
  EXPECT_EQ(BatchOf(SendOne(*stream).status()), std::nullopt) << "a finished stream takes no more";
}

TEST_F(MutateStreamTest, SendReportsTheEndInsteadOfBlocking) {
  daemon_.metadata.on_Mutate = [](grpc::ServerContext*, Call& call) {
    v1::MutateRequest request;
    call.Read(&request);
    call.Read(&request);
    return ServiceError(grpc::StatusCode::ABORTED, "INCARNATION_CHANGED", "batch 1: opened anew", {{"batch", "1"}});
  };
  Client client({.address = daemon_.address()});
  absl::StatusOr<MutateStream> stream = client.Mutate("c", {.max_in_flight = 1});
  ASSERT_TRUE(stream.ok()) << stream.status();
  ASSERT_TRUE(SendOne(*stream).ok());
  const absl::Status status = SendOne(*stream).status();
  EXPECT_EQ(ReasonOf(status), "INCARNATION_CHANGED");
  EXPECT_EQ(BatchOf(status), 1u);
  EXPECT_EQ(status.message(), "batch 1: opened anew");
  EXPECT_FALSE(stream->Flush().ok());
}

TEST_F(MutateStreamTest, CollectsFailedBatchesWhenItGoesOn) {
  daemon_.metadata.on_Mutate = [](grpc::ServerContext*, Call& call) {
    v1::MutateRequest request;
    call.Read(&request);
    EXPECT_FALSE(request.stop_on_error());
    while (call.Read(&request)) {
      v1::MutateResponse response;
      if (request.batch() == 2) {
        v1::MutateResponse::Failed* failed = response.add_failed();
        failed->set_batch(2);
        failed->set_code(grpc::StatusCode::ALREADY_EXISTS);
        failed->set_reason("CBLOCK_IN_USE");
        failed->set_message("cblock 1 is in use");
      } else {
        response = Applied(request.batch(), request.batch());
      }
      call.Write(response);
    }
    return grpc::Status::OK;
  };
  Client client({.address = daemon_.address()});
  absl::StatusOr<MutateStream> stream = client.Mutate("c", {.max_in_flight = 1, .stop_on_error = false});
  ASSERT_TRUE(stream.ok()) << stream.status();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(SendOne(*stream).ok());
  const absl::StatusOr<StreamResult> result = stream->Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->applied_through, 3u);
  ASSERT_THAT(result->failed, SizeIs(1));
  EXPECT_EQ(result->failed[0].batch, 2u);
  EXPECT_EQ(ReasonOf(result->failed[0].status), "CBLOCK_IN_USE");
  EXPECT_EQ(result->failed[0].status.code(), absl::StatusCode::kAlreadyExists);
}

TEST_F(MutateStreamTest, DestroyingItCancelsTheCall) {
  std::promise<void> started;
  std::atomic<bool> ended = false;
  daemon_.metadata.on_Mutate = [&](grpc::ServerContext*, Call& call) {
    v1::MutateRequest request;
    call.Read(&request);
    started.set_value();  // A call that is cancelled before may never reach the service.
    while (call.Read(&request)) continue;
    ended = true;
    return grpc::Status::OK;
  };
  Client client({.address = daemon_.address()});
  {
    absl::StatusOr<MutateStream> stream = client.Mutate("c");
    ASSERT_TRUE(stream.ok()) << stream.status();
    ASSERT_TRUE(SendOne(*stream).ok());
    started.get_future().wait();
  }
  daemon_.Stop();
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace dmcached::client
