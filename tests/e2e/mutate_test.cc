// The Mutate stream.
#include <memory>

#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class MutateTest : public DaemonTest {
 protected:
  using Stream = grpc::ClientReaderWriter<v1::MutateRequest, v1::MutateResponse>;

  MutateTest() {
    // So long that nothing becomes durable by itself.
    config_.commit_interval_ms = 3600000;
    Start();
    CreateStandard();
  }

  std::unique_ptr<Stream> Begin(Context& context, bool stop_on_error = true) {
    std::unique_ptr<Stream> stream = metadata().Mutate(&context);
    v1::MutateRequest first;
    first.set_cache(kCache);
    if (!stop_on_error) first.set_stop_on_error(false);
    EXPECT_TRUE(stream->Write(first));
    return stream;
  }
  v1::MutateRequest InsertBatch(uint64_t number, const Pairs& pairs) {
    v1::MutateRequest message;
    message.set_batch(number);
    *message.mutable_insert_mappings() = InsertRequest(pairs);
    message.mutable_insert_mappings()->clear_cache();
    return message;
  }
  // Everything that comes until the status, in one message; durable_through is the last one.
  static v1::MutateResponse ReadAll(Stream& stream) {
    v1::MutateResponse all;
    for (v1::MutateResponse message; stream.Read(&message);) all.MergeFrom(message);
    return all;
  }
};

TEST_F(MutateTest, HalfCloseMakesEverythingDurableAndSaysSo) {
  Context context;
  const auto stream = Begin(context);
  for (uint32_t i = 1; i <= 50; ++i) ASSERT_TRUE(stream->Write(InsertBatch(i, {{i, 1000 + i}, {100 + i, 2000 + i}})));
  ASSERT_TRUE(stream->WritesDone());
  const v1::MutateResponse all = ReadAll(*stream);
  ASSERT_THAT(stream->Finish(), Succeeds());
  ASSERT_EQ(all.applied_size(), 50);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(all.applied(i).batch(), static_cast<uint64_t>(i + 1));
  for (int i = 1; i < 50; ++i) EXPECT_EQ(all.applied(i).revision(), all.applied(i - 1).revision() + 1);
  EXPECT_EQ(all.durable_through(), 50u);
  EXPECT_EQ(all.incarnation(), Get().incarnation());
  EXPECT_GE(all.durable_transaction(), all.applied(49).transaction());
  EXPECT_FALSE(Get().uncommitted_changes());
  EXPECT_EQ(List().size(), 100u);
}

TEST_F(MutateTest, ABatchIsAcknowledgedAsAppliedBeforeItIsDurable) {
  Context context;
  const auto stream = Begin(context);
  v1::MutateRequest dirty = InsertBatch(1, {{1, 10}});
  dirty.mutable_insert_mappings()->set_dirty(0, true);  // "When durable", but the stream acknowledges separately.
  ASSERT_TRUE(stream->Write(dirty));
  v1::MutateResponse message;
  ASSERT_TRUE(stream->Read(&message));
  ASSERT_EQ(message.applied_size(), 1);
  EXPECT_EQ(message.durable_through(), 0u);
  EXPECT_TRUE(Get().uncommitted_changes());
  // Somebody else's commit counts too.
  ASSERT_THAT(Commit(), Succeeds());
  ASSERT_TRUE(stream->Read(&message));
  EXPECT_EQ(message.durable_through(), 1u);
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_EQ(ReadAll(*stream).durable_through(), 1u);
  EXPECT_THAT(stream->Finish(), Succeeds());
}

TEST_F(MutateTest, ADurableBatchStartsACommit) {
  Context context;
  const auto stream = Begin(context);
  v1::MutateRequest message = InsertBatch(7, {{1, 10}});
  message.mutable_insert_mappings()->mutable_options()->set_durable(true);
  ASSERT_TRUE(stream->Write(message));
  v1::MutateResponse answer;
  while (answer.durable_through() != 7) ASSERT_TRUE(stream->Read(&answer));
  EXPECT_FALSE(Get().uncommitted_changes());
  ASSERT_TRUE(stream->WritesDone());
  ReadAll(*stream);
  EXPECT_THAT(stream->Finish(), Succeeds());
}

TEST_F(MutateTest, TheFirstBadBatchEndsTheStream) {
  Context context;
  const auto stream = Begin(context);
  stream->Write(InsertBatch(1, {{1, 10}}));
  stream->Write(InsertBatch(2, {{2, 20}, {1, 30}}));
  stream->Write(InsertBatch(3, {{3, 30}}));
  stream->WritesDone();
  const v1::MutateResponse all = ReadAll(*stream);
  const grpc::Status status = stream->Finish();
  EXPECT_THAT(status, FailsWith(Reason::kCblockInUse));
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("batch"), "2");
  EXPECT_EQ(ErrorInfoOf(status).metadata().at("item"), "1");
  EXPECT_THAT(status.error_message(), testing::HasSubstr("batch 2"));
  ASSERT_EQ(all.applied_size(), 1);
  EXPECT_EQ(all.applied(0).batch(), 1u);
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
}

TEST_F(MutateTest, WithoutStopOnErrorTheOthersAreApplied) {
  Context context;
  const auto stream = Begin(context, /*stop_on_error=*/false);
  stream->Write(InsertBatch(1, {{1, 10}}));
  stream->Write(InsertBatch(2, {{2, 20}, {1, 30}}));
  v1::MutateRequest malformed = InsertBatch(3, {{3, 30}});
  malformed.mutable_insert_mappings()->add_cblocks(4);
  stream->Write(malformed);
  stream->Write(InsertBatch(4, {{4, 40}}));
  v1::MutateRequest last = InsertBatch(5, {{5, 40}});
  stream->Write(last);
  stream->WritesDone();
  const v1::MutateResponse all = ReadAll(*stream);
  EXPECT_THAT(stream->Finish(), Succeeds());
  ASSERT_EQ(all.applied_size(), 2);
  EXPECT_EQ(all.applied(1).batch(), 4u);
  ASSERT_EQ(all.failed_size(), 3);
  EXPECT_EQ(all.failed(0).batch(), 2u);
  EXPECT_EQ(all.failed(0).reason(), "CBLOCK_IN_USE");
  EXPECT_EQ(all.failed(0).code(), static_cast<int>(grpc::StatusCode::ALREADY_EXISTS));
  EXPECT_EQ(all.failed(1).reason(), "INVALID_REQUEST");
  EXPECT_EQ(all.failed(2).reason(), "OBLOCK_ALREADY_MAPPED");
  EXPECT_EQ(all.durable_through(), 5u);
  EXPECT_EQ(List(), (Pairs{{1, 10}, {4, 40}}));
}

TEST_F(MutateTest, EveryKindOfMutationCanBeABatch) {
  Context context;
  const auto stream = Begin(context);
  stream->Write(InsertBatch(1, {{1, 10}, {2, 20}, {3, 30}}));
  v1::MutateRequest message;
  message.set_batch(2);
  message.mutable_mark_dirty()->add_cblocks(1);
  message.mutable_mark_dirty()->add_cblocks(2);
  stream->Write(message);
  message.Clear();
  message.set_batch(3);
  message.mutable_clear_dirty()->add_cblocks(2);
  message.mutable_clear_dirty()->add_oblocks(20);
  *message.mutable_clear_dirty()->mutable_options() = Options();
  stream->Write(message);
  message.Clear();
  message.set_batch(4);
  message.mutable_remove_mappings()->add_cblocks(3);
  message.mutable_remove_mappings()->add_oblocks(30);
  *message.mutable_remove_mappings()->mutable_options() = Options();
  stream->Write(message);
  message.Clear();
  message.set_batch(5);
  message.mutable_begin_hints()->set_policy_name("smq");
  message.mutable_begin_hints()->set_hint_size_bytes(4);
  stream->Write(message);
  message.Clear();
  message.set_batch(6);
  message.mutable_save_hints()->add_cblocks(1);
  message.mutable_save_hints()->add_hints(9);
  stream->Write(message);
  message.Clear();
  message.set_batch(7);
  message.mutable_set_discards()->add_ranges()->set_begin(100);
  message.mutable_set_discards()->mutable_ranges(0)->set_end(104);
  *message.mutable_set_discards()->mutable_options() = Options();
  stream->Write(message);
  message.Clear();
  message.set_batch(8);
  message.mutable_clear_discards()->add_ranges()->set_begin(101);
  message.mutable_clear_discards()->mutable_ranges(0)->set_end(102);
  stream->Write(message);
  message.Clear();
  message.set_batch(9);
  message.mutable_set_stats()->mutable_stats()->set_read_hits(5);
  stream->Write(message);
  stream->WritesDone();
  const v1::MutateResponse all = ReadAll(*stream);
  ASSERT_THAT(stream->Finish(), Succeeds());
  ASSERT_EQ(all.applied_size(), 9);
  EXPECT_EQ(all.applied(3).removed_count(), 1u);
  EXPECT_EQ(all.durable_through(), 9u);
  EXPECT_EQ(List(), (Pairs{{1, 10}, {2, 20}}));
  EXPECT_EQ(List(true), (Pairs{{1, 10}}));
  EXPECT_THAT(Lookup({1}).hints(), testing::ElementsAre(9));
  EXPECT_EQ(Get().discarded_blocks(), 3u);
  EXPECT_EQ(Get().superblock().read_hits(), 5u);
}

TEST_F(MutateTest, WhatIsWrongWithTheStreamEndsIt) {
  const auto run = [&](std::initializer_list<v1::MutateRequest> messages) {
    Context context;
    const auto stream = metadata().Mutate(&context);
    for (const v1::MutateRequest& message : messages) stream->Write(message);
    stream->WritesDone();
    ReadAll(*stream);
    return stream->Finish();
  };
  v1::MutateRequest named;
  named.set_cache(kCache);
  EXPECT_THAT(run({v1::MutateRequest()}), FailsWith(Reason::kInvalidRequest));         // No cache.
  EXPECT_THAT(run({named, v1::MutateRequest()}), FailsWith(Reason::kInvalidRequest));  // No batch.
  EXPECT_THAT(run({named, InsertBatch(0, {{1, 1}})}), FailsWith(Reason::kInvalidRequest));
  EXPECT_THAT(run({named, InsertBatch(2, {{1, 1}}), InsertBatch(2, {{2, 2}})}), FailsWith(Reason::kInvalidRequest));
  v1::MutateRequest other = InsertBatch(3, {{3, 3}});
  other.mutable_insert_mappings()->set_cache("c2");
  EXPECT_THAT(run({named, other}), FailsWith(Reason::kInvalidRequest));
  v1::MutateRequest without_id = InsertBatch(3, {{3, 3}});
  without_id.mutable_insert_mappings()->mutable_options()->clear_request_id();
  EXPECT_THAT(run({named, without_id}), FailsWith(Reason::kInvalidRequest));
  v1::MutateRequest nobody = InsertBatch(3, {{3, 3}});
  nobody.set_cache("nobody");
  EXPECT_THAT(run({nobody}), FailsWith(Reason::kCacheNotOpen));
  EXPECT_THAT(run({named}), Succeeds());
  EXPECT_THAT(run({}), Succeeds());
}

TEST_F(MutateTest, ARepeatedBatchIsAppliedOnce) {
  const v1::MutateRequest batch = InsertBatch(1, {{1, 10}});
  uint64_t revision = 0;
  for (int run = 0; run < 2; ++run) {
    Context context;
    const auto stream = Begin(context);
    stream->Write(batch);
    stream->WritesDone();
    const v1::MutateResponse all = ReadAll(*stream);
    ASSERT_THAT(stream->Finish(), Succeeds());
    ASSERT_EQ(all.applied_size(), 1);
    if (run == 0) revision = all.applied(0).revision();
    EXPECT_EQ(all.applied(0).revision(), revision);
    EXPECT_EQ(all.durable_through(), 1u);
  }
}

TEST_F(MutateTest, WhatWasAppliedBeforeACancellationStands) {
  {
    Context context;
    const auto stream = Begin(context);
    ASSERT_TRUE(stream->Write(InsertBatch(1, {{1, 10}})));
    v1::MutateResponse message;
    ASSERT_TRUE(stream->Read(&message));
    context.TryCancel();
    ReadAll(*stream);
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
  EXPECT_THAT(Insert({{2, 20}}), Succeeds());
}

TEST_F(MutateTest, ClosingTheCacheEndsTheStreamWithAReason) {
  Context context;
  const auto stream = Begin(context);
  ASSERT_TRUE(stream->Write(InsertBatch(1, {{1, 10}})));
  v1::MutateResponse message;
  ASSERT_TRUE(stream->Read(&message));
  const v1::MutateRequest late = InsertBatch(2, {{2, 20}});
  ASSERT_THAT(Close(), Succeeds());
  stream->Write(late);
  stream->WritesDone();
  ReadAll(*stream);
  EXPECT_THAT(stream->Finish(), FailsWith(Reason::kCacheNotOpen));
  OpenStandard();
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
}

}  // namespace
}  // namespace dmcached
