#include "server/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using testing::ElementsAre;

template <typename Request>
Request WithOptions() {
  Request request;
  request.mutable_options()->set_request_id("r1");
  request.mutable_options()->set_incarnation(7);
  return request;
}

v1::InsertMappingsRequest Insert(int items) {
  auto request = WithOptions<v1::InsertMappingsRequest>();
  for (int i = 0; i < items; ++i) {
    request.add_cblocks(static_cast<uint32_t>(i));
    request.add_oblocks(static_cast<uint64_t>(i));
  }
  return request;
}

TEST(ConvertTest, InsertColumnsAreTheMessagesOwnMemory) {
  auto request = Insert(3);
  request.add_dirty(true);
  request.add_dirty(false);
  request.add_dirty(true);
  request.set_reservation(9);
  request.mutable_options()->set_expected_revision(4);
  request.mutable_options()->set_durable(true);
  const auto call = ToMutation(request);
  ASSERT_THAT(call, IsOk());
  const auto& insert = std::get<InsertMappings>(call->mutation);
  EXPECT_EQ(insert.cblocks.data(), request.cblocks().data());
  EXPECT_EQ(insert.oblocks.data(), request.oblocks().data());
  EXPECT_THAT(insert.dirty, ElementsAre(true, false, true));
  EXPECT_EQ(insert.reservation, 9u);
  EXPECT_EQ(call->conditions.request_id, "r1");
  EXPECT_EQ(call->conditions.incarnation, 7u);
  EXPECT_EQ(call->conditions.expected_revision, 4u);
  EXPECT_TRUE(call->conditions.durable);
  EXPECT_FALSE(call->conditions.answer_when_applied);
}

TEST(ConvertTest, UnequalColumnsAreRefused) {
  auto insert = Insert(2);
  insert.add_cblocks(5);
  EXPECT_THAT(ToMutation(insert), HasReasonIs(Reason::kInvalidRequest));
  insert = Insert(2);
  insert.add_dirty(true);
  EXPECT_THAT(ToMutation(insert), HasReasonIs(Reason::kInvalidRequest));

  auto clear = WithOptions<v1::ClearDirtyRequest>();
  clear.add_cblocks(1);
  EXPECT_THAT(ToMutation(clear), HasReasonIs(Reason::kInvalidRequest));
  v1::SaveHintsRequest hints;
  hints.add_hints(1);
  EXPECT_THAT(ToMutation(hints), HasReasonIs(Reason::kInvalidRequest));
}

TEST(ConvertTest, TheLimitOfItemsIsExactAndInTheText) {
  EXPECT_THAT(ToMutation(Insert(65536)), IsOk());
  const auto refused = ToMutation(Insert(65537));
  EXPECT_THAT(refused, HasReasonIs(Reason::kTooManyItems));
  EXPECT_THAT(std::string(refused.status().message()), testing::HasSubstr("65536"));

  v1::LookupMappingsRequest lookup;
  for (int i = 0; i < 65537; ++i) lookup.add_oblocks(1);
  EXPECT_THAT(ToLookup(lookup), HasReasonIs(Reason::kTooManyItems));
}

TEST(ConvertTest, RequestIdAndIncarnationAreMandatoryForFour) {
  const auto check = [](auto request) {
    request.mutable_options()->clear_request_id();
    EXPECT_THAT(ToMutation(request), HasReasonIs(Reason::kInvalidRequest));
    request.mutable_options()->set_request_id("x");
    request.mutable_options()->clear_incarnation();
    EXPECT_THAT(ToMutation(request), HasReasonIs(Reason::kInvalidRequest));
    request.mutable_options()->set_incarnation(0);
    EXPECT_THAT(ToMutation(request), IsOk());
    request.mutable_options()->set_request_id(std::string(129, 'x'));
    EXPECT_THAT(ToMutation(request), HasReasonIs(Reason::kInvalidRequest));
  };
  check(v1::InsertMappingsRequest());
  check(v1::RemoveMappingsRequest());
  check(v1::ClearDirtyRequest());
  check(v1::SetDiscardsRequest());
  EXPECT_THAT(ToMutation(v1::MarkDirtyRequest()), IsOk());
  EXPECT_THAT(ToMutation(v1::ClearDiscardsRequest()), IsOk());
  EXPECT_THAT(ToMutation(v1::BeginHintsRequest()), IsOk());
  EXPECT_THAT(ToMutation(v1::SetStatsRequest()), IsOk());
}

TEST(ConvertTest, RangesAreHalfOpenAndNotBackwards) {
  auto request = WithOptions<v1::SetDiscardsRequest>();
  request.add_ranges()->set_end(4);
  request.add_ranges()->set_begin(9);
  const auto refused = ToMutation(request);
  EXPECT_THAT(refused, HasReasonIs(Reason::kInvalidRequest));
  EXPECT_EQ(ItemOf(refused.status()), 1u);
  request.mutable_ranges(1)->set_end(9);
  auto call = ToMutation(request);
  ASSERT_THAT(call, IsOk());
  // The span survives a move of the call.
  const MutationCall moved = *std::move(call);
  const auto& discards = std::get<SetDiscards>(moved.mutation);
  ASSERT_EQ(discards.ranges.size(), 2u);
  EXPECT_EQ(discards.ranges[0].end, Dblock(4));
  EXPECT_EQ(discards.ranges[1].begin, Dblock(9));
}

TEST(ConvertTest, RemoveTakesPairsOrARange) {
  auto request = WithOptions<v1::RemoveMappingsRequest>();
  request.mutable_oblock_range()->set_begin(5);
  request.mutable_oblock_range()->set_end(6);
  const auto call = ToMutation(request);
  ASSERT_THAT(call, IsOk());
  EXPECT_EQ(std::get<RemoveMappings>(call->mutation).oblock_range->end, Oblock(6));
  request.add_cblocks(1);
  request.add_oblocks(1);
  EXPECT_THAT(ToMutation(request), HasReasonIs(Reason::kInvalidRequest));
}

TEST(ConvertTest, ABatchIsForTheStreamsCache) {
  v1::MutateRequest request;
  EXPECT_THAT(ToMutation("c", request), HasReasonIs(Reason::kInvalidRequest));
  request.mutable_mark_dirty()->add_cblocks(3);
  EXPECT_THAT(ToMutation("c", request), IsOk());
  request.mutable_mark_dirty()->set_cache("c");
  EXPECT_THAT(ToMutation("c", request), IsOk());
  request.mutable_mark_dirty()->set_cache("d");
  EXPECT_THAT(ToMutation("c", request), HasReasonIs(Reason::kInvalidRequest));
}

TEST(ConvertTest, FilterClipsCblocksThatNoCacheHas) {
  v1::ListMappingsRequest request;
  request.mutable_cblock_range()->set_begin(3);
  request.mutable_cblock_range()->set_end(std::numeric_limits<uint64_t>::max());
  request.set_policy_name("smq");
  request.mutable_policy_version()->set_major(2);
  const auto filter = ToFilter(request);
  ASSERT_THAT(filter, IsOk());
  EXPECT_EQ(filter->cblocks->begin, Cblock(3));
  EXPECT_EQ(filter->cblocks->end, Cblock(std::numeric_limits<uint32_t>::max()));
  EXPECT_EQ(filter->policy->version.major, 2u);
  request.mutable_cblock_range()->set_end(2);
  EXPECT_THAT(ToFilter(request), HasReasonIs(Reason::kInvalidRequest));
}

TEST(ConvertTest, CursorsGoOnWhereTheySay) {
  EXPECT_EQ(*ParseCursor('m', "", 10), 0u);
  EXPECT_EQ(*ParseCursor('m', MakeCursor('m', 10), 10), 10u);
  EXPECT_EQ(
      *ParseCursor('d', MakeCursor('d', std::numeric_limits<uint64_t>::max()), std::numeric_limits<uint64_t>::max()),
      std::numeric_limits<uint64_t>::max());
  for (const std::string bad : {"m", "m11", "d5", "5", "m-1", "m 1", "m1x", "m99999999999999999999"}) {
    EXPECT_THAT(ParseCursor('m', bad, 10), HasReasonIs(Reason::kInvalidRequest)) << bad;
  }
}

TEST(ConvertTest, NamesFollowTheRule) {
  for (const std::string& good : std::vector<std::string>{"a", "0", "a-b", "a-", std::string(63, 'z')}) {
    EXPECT_THAT(CheckCacheName(good), IsOk()) << good;
  }
  for (const std::string& bad :
       std::vector<std::string>{"", "-a", "A", "a_b", "a b", "\xc3\xa4", std::string(64, 'z')}) {
    EXPECT_THAT(CheckCacheName(bad), HasReasonIs(Reason::kInvalidRequest)) << bad;
  }
}

TEST(ConvertTest, LookupAnswersKeepTheirColumns) {
  LookupResult result;
  result.mapped = {1, 0};
  result.cblocks = {4, 0};
  result.oblocks = {40, 50};
  result.dirty = {1, 0};
  result.transaction = 3;
  v1::LookupMappingsResponse message;
  FillLookup(result, &message);
  EXPECT_THAT(message.mapped(), ElementsAre(true, false));
  EXPECT_THAT(message.oblocks(), ElementsAre(40, 50));
  EXPECT_THAT(message.dirty(), ElementsAre(true, false));
  EXPECT_EQ(message.hints_size(), 0);
  EXPECT_EQ(message.dirty_stored_size(), 0);
  EXPECT_EQ(message.transaction(), 3u);
}

}  // namespace
}  // namespace dmcached
