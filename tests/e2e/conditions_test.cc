// Request ids, incarnations and revisions.
#include <thread>

#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class ConditionsTest : public DaemonTest {
 protected:
  ConditionsTest() {
    Start();
    CreateStandard();
  }
  grpc::Status Send(const v1::InsertMappingsRequest& request, v1::InsertMappingsResponse* response) {
    Context context;
    return metadata().InsertMappings(&context, request, response);
  }
};

TEST_F(ConditionsTest, ARepeatGetsTheFirstAnswer) {
  const v1::InsertMappingsRequest request = InsertRequest({{1, 100}}, true);
  v1::InsertMappingsResponse first;
  ASSERT_THAT(Send(request, &first), Succeeds());
  ASSERT_THAT(Insert({{2, 200}}), Succeeds());
  v1::InsertMappingsResponse repeated;
  ASSERT_THAT(Send(request, &repeated), Succeeds());
  EXPECT_EQ(repeated.result().revision(), first.result().revision());
  EXPECT_EQ(repeated.result().transaction(), first.result().transaction());
  EXPECT_EQ(Get().mapped_blocks(), 2u);
  // Even when the mapping is gone again.
  ASSERT_THAT(Remove({{1, 100}}, true), Succeeds());
  ASSERT_THAT(Send(request, &repeated), Succeeds());
  EXPECT_EQ(List(), (Pairs{{2, 200}}));
}

TEST_F(ConditionsTest, AnIdIsNotUsedForSomethingElse) {
  v1::InsertMappingsRequest request = InsertRequest({{1, 100}});
  v1::InsertMappingsResponse response;
  ASSERT_THAT(Send(request, &response), Succeeds());
  request.set_oblocks(0, 101);
  EXPECT_THAT(Send(request, &response), FailsWith(Reason::kRequestIdReused));
  EXPECT_EQ(List(), (Pairs{{1, 100}}));
}

TEST_F(ConditionsTest, RepeatsAtTheSameTimeAreAppliedOnce) {
  const v1::InsertMappingsRequest request = InsertRequest({{1, 100}}, true);
  std::vector<v1::InsertMappingsResponse> responses(8);
  std::vector<grpc::Status> statuses(8);
  {
    std::vector<std::jthread> callers;
    for (size_t i = 0; i < 8; ++i) callers.emplace_back([&, i] { statuses[i] = Send(request, &responses[i]); });
  }
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_THAT(statuses[i], Succeeds());
    EXPECT_EQ(responses[i].result().revision(), responses[0].result().revision());
  }
  EXPECT_EQ(Get().revision(), responses[0].result().revision());
}

TEST_F(ConditionsTest, ALateCopyFromBeforeARestartDoesNothing) {
  const v1::InsertMappingsRequest late = InsertRequest({{1, 100}});
  Restart();
  OpenStandard();
  v1::InsertMappingsResponse response;
  EXPECT_THAT(Send(late, &response), FailsWith(Reason::kIncarnationChanged));
  EXPECT_EQ(List(), Pairs{});
}

TEST_F(ConditionsTest, ALateCopyOfWhatWasAppliedBeforeARestartDoesNotHappenAgain) {
  const v1::InsertMappingsRequest applied = InsertRequest({{1, 100}}, true);
  v1::InsertMappingsResponse response;
  ASSERT_THAT(Send(applied, &response), Succeeds());
  ASSERT_THAT(Remove({{1, 100}}, /*discard_dirty=*/true), Succeeds());
  Restart();
  OpenStandard();
  EXPECT_THAT(Send(applied, &response), FailsWith(Reason::kIncarnationChanged));
  EXPECT_EQ(List(), Pairs{});
  // The block went to somebody else meanwhile.
  ASSERT_THAT(Insert({{1, 200}}, true), Succeeds());
  EXPECT_THAT(Send(applied, &response), FailsWith(Reason::kIncarnationChanged));
  EXPECT_EQ(List(true), (Pairs{{1, 200}}));
}

TEST_F(ConditionsTest, IdAndIncarnationAreMandatoryWhereTheContractSaysSo) {
  v1::InsertMappingsRequest request = InsertRequest({{1, 100}});
  v1::InsertMappingsResponse response;
  request.mutable_options()->clear_request_id();
  EXPECT_THAT(Send(request, &response), FailsWith(Reason::kInvalidRequest));
  request = InsertRequest({{1, 100}});
  request.mutable_options()->clear_incarnation();
  EXPECT_THAT(Send(request, &response), FailsWith(Reason::kInvalidRequest));
  EXPECT_EQ(List(), Pairs{});
}

TEST_F(ConditionsTest, ARevisionThatMovedOnRefuses) {
  v1::InsertMappingsRequest request = InsertRequest({{1, 100}});
  request.mutable_options()->set_expected_revision(Get().revision());
  v1::InsertMappingsResponse response;
  ASSERT_THAT(Send(request, &response), Succeeds());
  v1::InsertMappingsRequest late = InsertRequest({{2, 200}});
  late.mutable_options()->set_expected_revision(response.result().revision() - 1);
  EXPECT_THAT(Send(late, &response), FailsWith(Reason::kRevisionMismatch));
  late.mutable_options()->set_expected_revision(response.result().revision());
  EXPECT_EQ(List(), (Pairs{{1, 100}}));
}

TEST_F(ConditionsTest, TwoCallersMarkingTheSameBlockBothSucceed) {
  ASSERT_THAT(Insert({{1, 100}}), Succeeds());
  grpc::Status first;
  grpc::Status second;
  {
    std::jthread one([&] { first = MarkDirty({1}); });
    std::jthread two([&] { second = MarkDirty({1}); });
  }
  EXPECT_THAT(first, Succeeds());
  EXPECT_THAT(second, Succeeds());
  EXPECT_EQ(Get().dirty_blocks(), 1u);
}

TEST_F(ConditionsTest, SixtyFourCallersEachGetTheirOwn) {
  std::vector<v1::InsertMappingsRequest> requests;
  for (uint32_t i = 0; i < 64; ++i) requests.push_back(InsertRequest({{i, 1000 + i}}, true));
  std::vector<grpc::Status> statuses(requests.size());
  {
    std::vector<std::jthread> callers;
    for (size_t i = 0; i < requests.size(); ++i) {
      callers.emplace_back([&, i] {
        v1::InsertMappingsResponse response;
        statuses[i] = Send(requests[i], &response);
      });
    }
  }
  for (const grpc::Status& status : statuses) EXPECT_THAT(status, Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  EXPECT_EQ(OpenStandard().dirty_blocks(), 64u);
}

}  // namespace
}  // namespace dmcached
