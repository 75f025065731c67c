// CONSERVATIVE dirty tracking over a socket: when each mutation is answered, and who sets CLEAN_SHUTDOWN.
#include <filesystem>

#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

// When the change was made and what was durable, as the answer said.
struct Answer {
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
};

class ConservativeTest : public DaemonTest {
 protected:
  ConservativeTest() {
    config_.commit_interval_ms = 3600000;
    Start();
    NewMetadata();
    v1::CreateCacheRequest request = CreateRequest();
    request.set_dirty_tracking(v1::DIRTY_TRACKING_CONSERVATIVE);
    Create(request);
  }
  // The answer to one mutation.
  template <typename Request, typename Response>
  Answer Send(grpc::Status (v1::MetadataService::Stub::*rpc)(grpc::ClientContext*, const Request&, Response*),
              Request request) {
    request.set_cache(kCache);
    *request.mutable_options() = Options();
    Context context;
    Response response;
    EXPECT_THAT((metadata().*rpc)(&context, request, &response), Succeeds());
    return {response.result().transaction(), response.result().durable_transaction()};
  }
  Answer SendInsert(const Pairs& pairs, bool dirty) {
    return Send(&v1::MetadataService::Stub::InsertMappings, InsertRequest(pairs, dirty));
  }
  Answer SendMark(uint32_t cblock) {
    v1::MarkDirtyRequest request;
    request.add_cblocks(cblock);
    return Send(&v1::MetadataService::Stub::MarkDirty, request);
  }
  Answer Resize(uint32_t cache_blocks) {
    v1::ResizeCacheRequest request;
    request.set_name(kCache);
    request.set_cache_blocks(cache_blocks);
    *request.mutable_options() = Options();
    Context context;
    v1::ResizeCacheResponse response;
    EXPECT_THAT(caches().ResizeCache(&context, request, &response), Succeeds());
    return {response.result().transaction(), response.result().durable_transaction()};
  }
  Answer CommitClean() {
    v1::CommitRequest request;
    request.set_cache(kCache);
    request.set_clean_shutdown(true);
    Context context;
    v1::CommitResponse response;
    EXPECT_THAT(metadata().Commit(&context, request, &response), Succeeds());
    return {response.result().transaction(), response.result().durable_transaction()};
  }
  // What an open of the metadata as it is on the device now finds.
  v1::OpenCacheResponse OpenCopy(const std::string& name) {
    std::filesystem::copy_file(folder_.File("metadata"), folder_.File(name));
    v1::OpenCacheRequest request;
    request.set_name(name);
    request.set_metadata_path(folder_.File(name));
    Context context;
    v1::OpenCacheResponse response;
    EXPECT_THAT(caches().OpenCache(&context, request, &response), Succeeds());
    return response;
  }
};

MATCHER(WasDurable, "was durable when it was answered") {
  *result_listener << arg.transaction << ", durable through " << arg.durable_transaction;
  return arg.durable_transaction >= arg.transaction;
}
// Everything before it was durable, and no timer runs: only a commit of its own could have made it so.
MATCHER(WasOnlyApplied, "was answered when applied") {
  *result_listener << arg.transaction << ", durable through " << arg.durable_transaction;
  return arg.durable_transaction < arg.transaction;
}

TEST_F(ConservativeTest, EachMutationIsAnsweredAsItsRowSays) {
  EXPECT_THAT(SendInsert({{1, 10}}, /*dirty=*/true), WasDurable());
  EXPECT_THAT(SendInsert({{2, 20}}, /*dirty=*/false), WasOnlyApplied());
  ASSERT_THAT(Commit(), Succeeds());
  EXPECT_THAT(SendMark(2), WasOnlyApplied());

  v1::ClearDirtyRequest clear;
  clear.add_cblocks(2);
  clear.add_oblocks(20);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::ClearDirty, clear), WasOnlyApplied());
  ASSERT_THAT(Commit(), Succeeds());

  v1::SetDiscardsRequest set;
  set.add_ranges()->set_begin(100);
  set.mutable_ranges(0)->set_end(110);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::SetDiscards, set), WasOnlyApplied());
  v1::ClearDiscardsRequest clear_discards;
  *clear_discards.add_ranges() = set.ranges(0);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::ClearDiscards, clear_discards), WasDurable());

  v1::BeginHintsRequest begin;
  begin.set_policy_name("smq");
  begin.set_hint_size_bytes(4);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::BeginHints, begin), WasDurable());
  v1::SaveHintsRequest hints;
  hints.add_cblocks(1);
  hints.add_hints(7);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::SaveHints, hints), WasOnlyApplied());
  v1::SetStatsRequest stats;
  stats.mutable_stats()->set_read_hits(5);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::SetStats, stats), WasOnlyApplied());

  v1::RemoveMappingsRequest remove;
  remove.add_cblocks(2);
  remove.add_oblocks(20);
  EXPECT_THAT(Send(&v1::MetadataService::Stub::RemoveMappings, remove), WasDurable());
  EXPECT_THAT(Resize(kCacheBlocks + 1000), WasDurable());
  EXPECT_THAT(Resize(kCacheBlocks), WasDurable());
}

TEST_F(ConservativeTest, AMarkWaitsForTheInsertOfItsMapping) {
  ASSERT_THAT(SendInsert({{1, 10}}, /*dirty=*/false), WasOnlyApplied());
  EXPECT_THAT(SendMark(1), WasDurable()) << "else a crash would lose the write with its mapping";
}

TEST_F(ConservativeTest, OnlyACleanCommitSetsTheFlagAndTheNextMutationTakesItBack) {
  ASSERT_THAT(SendInsert({{1, 10}, {2, 20}}, /*dirty=*/false), WasOnlyApplied());
  ASSERT_THAT(Commit(), Succeeds());
  EXPECT_FALSE(Get().superblock().clean_shutdown());
  EXPECT_TRUE(OpenCopy("plain").adopted());
  EXPECT_THAT(CommitClean(), WasDurable());
  EXPECT_TRUE(Get().superblock().clean_shutdown());
  const v1::OpenCacheResponse clean = OpenCopy("clean");
  EXPECT_FALSE(clean.adopted());
  EXPECT_EQ(clean.cache().dirty_blocks(), 0u);
  // A crash after this answer makes everything dirty, so the flag is off on the medium before it.
  EXPECT_THAT(SendMark(1), WasDurable());
  EXPECT_FALSE(Get().superblock().clean_shutdown());
  const v1::OpenCacheResponse marked = OpenCopy("marked");
  EXPECT_TRUE(marked.adopted());
  EXPECT_EQ(marked.cache().dirty_blocks(), 2u);
  ASSERT_THAT(Close(), Succeeds());
  EXPECT_FALSE(OpenCopy("closed").adopted());
}

}  // namespace
}  // namespace dmcached
