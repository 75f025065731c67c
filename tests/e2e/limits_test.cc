// Messages that are too large, deadlines, cancellation.
#include <chrono>

#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class LimitsTest : public DaemonTest {
 protected:
  LimitsTest() {
    Start();
    CreateStandard();
  }
};

TEST_F(LimitsTest, TooManyItemsNameTheLimit) {
  v1::MarkDirtyRequest request;
  request.set_cache(kCache);
  for (int i = 0; i < 65537; ++i) request.add_cblocks(1);
  Context context;
  v1::MarkDirtyResponse response;
  const grpc::Status status = metadata().MarkDirty(&context, request, &response);
  EXPECT_THAT(status, FailsWith(Reason::kTooManyItems));
  EXPECT_THAT(status.error_message(), testing::HasSubstr("65536"));
}

TEST_F(LimitsTest, AMessageBeyondFourMebibytesIsRefusedAndTheDaemonGoesOn) {
  v1::MarkDirtyRequest request;
  request.set_cache(std::string(5 << 20, 'x'));
  Context context;
  v1::MarkDirtyResponse response;
  EXPECT_EQ(metadata().MarkDirty(&context, request, &response).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
}

TEST_F(LimitsTest, ADeadlineInThePastChangesNothing) {
  const v1::InsertMappingsRequest request = InsertRequest({{1, 10}});
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() - std::chrono::seconds(1));
  v1::InsertMappingsResponse response;
  EXPECT_EQ(metadata().InsertMappings(&context, request, &response).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(List(), Pairs{});
}

TEST_F(LimitsTest, ACancelledCallIsRepeatedWithTheSameId) {
  const v1::InsertMappingsRequest request = InsertRequest({{1, 10}}, /*dirty=*/true);
  {
    grpc::ClientContext context;
    context.TryCancel();
    v1::InsertMappingsResponse response;
    EXPECT_EQ(metadata().InsertMappings(&context, request, &response).error_code(), grpc::StatusCode::CANCELLED);
  }
  Context context;
  v1::InsertMappingsResponse response;
  EXPECT_THAT(metadata().InsertMappings(&context, request, &response), Succeeds());
  EXPECT_EQ(List(true), (Pairs{{1, 10}}));
}

TEST_F(LimitsTest, LongNamesDoNotMakeLongErrors) {
  v1::CreateCacheRequest request = CreateRequest();
  request.set_metadata_path("/" + std::string(100000, 'x'));
  request.set_name("c2");
  Context context;
  v1::CreateCacheResponse response;
  const grpc::Status status = caches().CreateCache(&context, request, &response);
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_LE(status.error_message().size(), 1024u);
  EXPECT_LE(status.error_details().size(), 1024u);
}

class BlockLimitTest : public DaemonTest {
 protected:
  BlockLimitTest() {
    config_.block_cache_bytes = 1 << 20;
    Start();
  }
};

TEST_F(BlockLimitTest, ARequestThatTouchesTooManyBlocksIsRefusedWholeAndSmallerOnesPass) {
  // More than the budget and what a request may hold beyond it.
  constexpr uint32_t kBlocks = (1 << 20) / 4096 + 8192 + 100;
  constexpr uint32_t kEntries = 509;  // Of a mapping block.
  NewMetadata("metadata", 4 * uint64_t{kBlocks} * 4096);
  v1::CreateCacheRequest create = CreateRequest();
  create.set_cache_blocks(kBlocks * kEntries);
  create.set_origin_size_sectors(uint64_t{kBlocks} * kBlockSectors);
  Create(create);
  Pairs pairs;
  for (uint32_t i = 0; i < kBlocks; ++i) pairs.emplace_back(i * kEntries, i);
  EXPECT_THAT(Insert(pairs), FailsWith(Reason::kTooManyBlocks));
  EXPECT_EQ(Get().mapped_blocks(), 0u);
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
  pairs.resize(1000);
  EXPECT_THAT(Insert(pairs), Succeeds());
  EXPECT_EQ(List(), pairs);
}

}  // namespace
}  // namespace dmcached
