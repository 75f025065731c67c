#include "server/cache_convert.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace dmcached {
namespace {

v1::CreateCacheRequest Create() {
  v1::CreateCacheRequest request;
  request.set_name("c");
  request.set_metadata_path("/m");
  request.set_data_block_size_sectors(128);
  return request;
}

TEST(CacheConvertTest, CreateFillsInTheDefaults) {
  const auto options = ToCreateOptions(Create());
  ASSERT_THAT(options, IsOk());
  EXPECT_EQ(options->version, 2u);
  EXPECT_EQ(options->dirty_tracking, DirtyTracking::kExact);
  EXPECT_FALSE(options->cache_blocks.has_value());
  EXPECT_FALSE(options->origin_size.has_value());
}

TEST(CacheConvertTest, CreateRefusesWrongForms) {
  auto request = Create();
  request.set_name("C");
  EXPECT_THAT(ToCreateOptions(request), HasReasonIs(Reason::kInvalidRequest));
  request = Create();
  request.set_metadata_path("relative");
  EXPECT_THAT(ToCreateOptions(request), HasReasonIs(Reason::kInvalidRequest));
  request.clear_metadata_path();
  EXPECT_THAT(ToCreateOptions(request), HasReasonIs(Reason::kInvalidRequest));
  request = Create();
  request.set_fast_path("fast");
  EXPECT_THAT(ToCreateOptions(request), HasReasonIs(Reason::kInvalidRequest));
  request = Create();
  request.set_metadata_version(3);
  EXPECT_THAT(ToCreateOptions(request), HasReasonIs(Reason::kInvalidRequest));
  request = Create();
  request.set_dirty_tracking(static_cast<v1::DirtyTracking>(9));
  EXPECT_THAT(ToCreateOptions(request), HasReasonIs(Reason::kInvalidRequest));
}

TEST(CacheConvertTest, OpenWithoutAPathIsForTheEngineToJudge) {
  v1::OpenCacheRequest request;
  request.set_name("c");
  request.set_recover(true);
  const auto options = ToOpenOptions(request);
  ASSERT_THAT(options, IsOk());
  EXPECT_TRUE(options->recover);
  EXPECT_FALSE(options->keep_if_failed);
}

TEST(CacheConvertTest, ResizeMustChangeSomething) {
  v1::ResizeCacheRequest request;
  EXPECT_THAT(ToMutation(request), HasReasonIs(Reason::kInvalidRequest));
  request.set_cache_blocks(0);
  const auto call = ToMutation(request);
  ASSERT_THAT(call, IsOk());
  EXPECT_EQ(std::get<Resize>(call->mutation).cache_blocks, 0u);
}

TEST(CacheConvertTest, TheFlagsWordKeepsUnknownBits) {
  ProbeResult result;
  result.superblock.emplace();
  result.superblock->clean_shutdown = true;
  result.superblock->needs_check = true;
  result.superblock->other_flags = 0x80;
  result.superblock->space_map.blocks = 10;
  result.superblock->space_map.allocated = 4;
  v1::ProbeCacheResponse message;
  FillProbe(result, &message);
  EXPECT_TRUE(message.formatted());
  EXPECT_EQ(message.superblock().flags(), 0x83u);
  EXPECT_EQ(message.superblock().free_metadata_blocks(), 6u);
  v1::ProbeCacheResponse empty;
  FillProbe(ProbeResult{}, &empty);
  EXPECT_FALSE(empty.formatted());
  EXPECT_FALSE(empty.has_superblock());
}

TEST(CacheConvertTest, FreeMetadataIsThatOfTheOpenTransaction) {
  CacheInfo info;
  info.state = CacheState::kNeedsCheck;
  info.metadata_blocks = 100;
  info.free_metadata_blocks = 60;
  info.superblock.space_map.blocks = 100;
  v1::Cache message;
  FillCache(info, &message);
  EXPECT_EQ(message.state(), v1::Cache::STATE_NEEDS_CHECK);
  EXPECT_EQ(message.superblock().free_metadata_blocks(), 60u);
}

}  // namespace
}  // namespace dmcached
