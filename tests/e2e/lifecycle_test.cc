// CacheService: every rpc, and every reason that its callers can bring about.
#include <filesystem>
#include <fstream>

#include "server/version.h"
#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class LifecycleTest : public DaemonTest {
 protected:
  LifecycleTest() { Start(); }

  grpc::Status TryCreate(const v1::CreateCacheRequest& request) {
    Context context;
    v1::CreateCacheResponse response;
    return caches().CreateCache(&context, request, &response);
  }
  grpc::Status TryOpen(const v1::OpenCacheRequest& request) {
    Context context;
    v1::OpenCacheResponse response;
    return caches().OpenCache(&context, request, &response);
  }
  v1::OpenCacheRequest OpenRequest(const std::string& name = kCache, const std::string& file = "metadata") {
    v1::OpenCacheRequest request;
    request.set_name(name);
    request.set_metadata_path(folder_.File(file));
    return request;
  }
  grpc::Status Probe(const std::string& path, v1::ProbeCacheResponse* response) {
    Context context;
    v1::ProbeCacheRequest request;
    request.set_metadata_path(path);
    return caches().ProbeCache(&context, request, response);
  }
  grpc::Status Resize(const v1::ResizeCacheRequest& request, v1::ResizeCacheResponse* response) {
    Context context;
    return caches().ResizeCache(&context, request, response);
  }
};

TEST_F(LifecycleTest, ServerInfoSaysWhatTheDaemonAllows) {
  Context context;
  v1::GetServerInfoResponse response;
  ASSERT_THAT(caches().GetServerInfo(&context, {}, &response), Succeeds());
  EXPECT_EQ(response.version(), Version());
  EXPECT_THAT(response.metadata_versions(), testing::ElementsAre(1, 2));
  EXPECT_EQ(response.max_items_per_message(), 65536u);
  EXPECT_EQ(response.max_message_bytes(), 4u << 20);
  EXPECT_EQ(response.max_reservation_ttl_ms(), 60000u);
  EXPECT_EQ(response.commit_interval_ms(), 1000u);
  EXPECT_EQ(response.block_cache_bytes(), 64u << 20);
}

TEST_F(LifecycleTest, PlanAgreesWithWhatCreateMakes) {
  v1::PlanCacheRequest request;
  request.set_origin_size_sectors(kOriginBlocks * kBlockSectors);
  request.set_fast_size_sectors(uint64_t{kCacheBlocks} * kBlockSectors);
  request.set_data_block_size_sectors(kBlockSectors);
  Context context;
  v1::PlanCacheResponse plan;
  ASSERT_THAT(caches().PlanCache(&context, request, &plan), Succeeds());
  EXPECT_EQ(plan.cache_blocks(), kCacheBlocks);
  EXPECT_EQ(plan.origin_blocks(), kOriginBlocks);
  const v1::Cache cache = CreateStandard();
  EXPECT_EQ(cache.superblock().discard_blocks(), plan.discard_blocks());
  EXPECT_EQ(cache.superblock().discard_block_size_sectors(), plan.discard_block_size_sectors());

  NewMetadata("least", plan.metadata_bytes());
  Create(CreateRequest("least", "least"));

  Context second;
  EXPECT_THAT(caches().PlanCache(&second, {}, &plan), FailsWith(Reason::kInvalidRequest));
}

TEST_F(LifecycleTest, CreateOpensWhatWasAskedFor) {
  NewMetadata();
  v1::CreateCacheRequest request = CreateRequest();
  request.set_metadata_version(1);
  request.set_policy_name("smq");
  request.set_identity("disk-7");
  request.set_dirty_tracking(v1::DIRTY_TRACKING_CONSERVATIVE);
  const v1::Cache cache = Create(request);
  EXPECT_EQ(cache.state(), v1::Cache::STATE_OPEN);
  EXPECT_EQ(cache.superblock().version(), 1u);
  EXPECT_EQ(cache.superblock().policy_name(), "smq");
  EXPECT_EQ(cache.superblock().identity(), "disk-7");
  EXPECT_EQ(cache.superblock().cache_blocks(), kCacheBlocks);
  EXPECT_EQ(cache.superblock().data_block_size_sectors(), kBlockSectors);
  EXPECT_EQ(cache.dirty_tracking(), v1::DIRTY_TRACKING_CONSERVATIVE);
  EXPECT_EQ(cache.free_blocks(), kCacheBlocks);
  EXPECT_EQ(cache.mapped_blocks(), 0u);
  EXPECT_EQ(cache.metadata_device_bytes(), 4u << 20);
  EXPECT_NE(cache.incarnation(), 0u);
}

TEST_F(LifecycleTest, CreateRefusesAndSaysWhy) {
  CreateStandard();
  EXPECT_THAT(TryCreate(CreateRequest(kCache, "metadata")), FailsWith(Reason::kCacheExists));
  EXPECT_THAT(TryCreate(CreateRequest("c2", "metadata")), FailsWith(Reason::kDeviceInUse));
  EXPECT_THAT(TryCreate(CreateRequest("c2", "none")), FailsWith(Reason::kDeviceNotFound));
  EXPECT_THAT(TryCreate(CreateRequest("C2", "none")), FailsWith(Reason::kInvalidRequest));

  NewMetadata("small", 5 * 4096);
  EXPECT_THAT(TryCreate(CreateRequest("c2", "small")), FailsWith(Reason::kMetadataNoSpace));

  NewMetadata("other");
  v1::CreateCacheRequest request = CreateRequest("c2", "other");
  request.set_data_block_size_sectors(65);
  EXPECT_THAT(TryCreate(request), FailsWith(Reason::kInvalidRequest));
  request = CreateRequest("c2", "other");
  request.set_identity("a name of sixteen");
  EXPECT_THAT(TryCreate(request), FailsWith(Reason::kInvalidRequest));
  request = CreateRequest("c2", "other");
  request.set_policy_name("a policy of sixteen");
  EXPECT_THAT(TryCreate(request), FailsWith(Reason::kPolicyInvalid));
  request = CreateRequest("c2", "other");
  folder_.CreateFile("fast", uint64_t{kCacheBlocks - 1} * kBlockSectors * 512);
  request.set_fast_path(folder_.File("fast"));
  EXPECT_THAT(TryCreate(request), FailsWith(Reason::kGeometryMismatch));
  EXPECT_THAT(TryCreate(CreateRequest("c2", "other")), Succeeds());
}

TEST_F(LifecycleTest, CreateKeepsItsHandsOffWhatIsNotZero) {
  const std::string path = NewMetadata();
  std::ofstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(1000000) << "x";
  const std::vector<std::byte> before = FileBytes(path);
  EXPECT_THAT(TryCreate(CreateRequest()), FailsWith(Reason::kNotEmpty));
  EXPECT_EQ(FileBytes(path), before);
  v1::CreateCacheRequest force = CreateRequest();
  force.set_force(true);
  EXPECT_THAT(TryCreate(force), Succeeds());
}

TEST_F(LifecycleTest, ValidateOnlyChangesNothing) {
  const std::string path = NewMetadata();
  const std::vector<std::byte> before = FileBytes(path);
  v1::CreateCacheRequest request = CreateRequest();
  request.set_validate_only(true);
  Context context;
  v1::CreateCacheResponse response;
  ASSERT_THAT(caches().CreateCache(&context, request, &response), Succeeds());
  EXPECT_FALSE(response.has_cache());
  EXPECT_EQ(FileBytes(path), before);
  request.set_cache_blocks(4000000000u);
  EXPECT_FALSE(TryCreate(request).ok());
  EXPECT_EQ(Create(CreateRequest()).state(), v1::Cache::STATE_OPEN);
}

TEST_F(LifecycleTest, ProbeReadsOpenAndClosedDevicesAndChangesNothing) {
  const std::string path = NewMetadata();
  v1::ProbeCacheResponse probe;
  ASSERT_THAT(Probe(path, &probe), Succeeds());
  EXPECT_FALSE(probe.formatted());
  EXPECT_EQ(probe.device_bytes(), 4u << 20);

  v1::CreateCacheRequest request = CreateRequest();
  request.set_identity("id-1");
  Create(request);
  ASSERT_THAT(Probe(path, &probe), Succeeds());
  EXPECT_TRUE(probe.formatted());
  EXPECT_EQ(probe.superblock().identity(), "id-1");
  ASSERT_THAT(Close(), Succeeds());
  const std::vector<std::byte> before = FileBytes(path);
  ASSERT_THAT(Probe(path, &probe), Succeeds());
  EXPECT_TRUE(probe.superblock().clean_shutdown());
  EXPECT_EQ(probe.superblock().cache_blocks(), kCacheBlocks);
  EXPECT_EQ(FileBytes(path), before);

  EXPECT_THAT(Probe(folder_.File("none"), &probe), FailsWith(Reason::kDeviceNotFound));
  EXPECT_THAT(Probe("relative", &probe), FailsWith(Reason::kInvalidRequest));
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(100).put('\x5a');
  EXPECT_THAT(Probe(path, &probe), FailsWith(Reason::kMetadataCorrupt));
}

TEST_F(LifecycleTest, OpenRefusesAndSaysWhy) {
  v1::CreateCacheRequest create = CreateRequest();
  NewMetadata();
  create.set_identity("id-1");
  Create(create);
  EXPECT_THAT(TryOpen(OpenRequest()), FailsWith(Reason::kCacheExists));
  EXPECT_THAT(TryOpen(OpenRequest("c2")), FailsWith(Reason::kDeviceInUse));
  ASSERT_THAT(Close(), Succeeds());

  NewMetadata("zeros");
  EXPECT_THAT(TryOpen(OpenRequest("c2", "zeros")), FailsWith(Reason::kNotFormatted));
  EXPECT_THAT(TryOpen(OpenRequest("c2", "none")), FailsWith(Reason::kDeviceNotFound));
  v1::OpenCacheRequest open = OpenRequest();
  open.set_expected_identity("id-2");
  EXPECT_THAT(TryOpen(open), FailsWith(Reason::kIdentityMismatch));
  open = OpenRequest();
  open.set_expected_block_size_sectors(128);
  EXPECT_THAT(TryOpen(open), FailsWith(Reason::kGeometryMismatch));
  open = OpenRequest();
  open.set_fast_path(folder_.CreateFile("fast", 512 * 64));
  EXPECT_THAT(TryOpen(open), FailsWith(Reason::kGeometryMismatch));
  open = OpenRequest();
  open.clear_metadata_path();
  EXPECT_FALSE(TryOpen(open).ok());

  open = OpenRequest();
  open.set_expected_identity("id-1");
  open.set_expected_block_size_sectors(kBlockSectors);
  EXPECT_THAT(TryOpen(open), Succeeds());
}

TEST_F(LifecycleTest, DamagedMetadataIsNotOpenedForWriting) {
  CreateStandard();
  ASSERT_THAT(Close(), Succeeds());
  v1::ProbeCacheResponse probe;
  ASSERT_THAT(Probe(folder_.File("metadata"), &probe), Succeeds());
  std::fstream file(folder_.File("metadata"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(probe.superblock().mapping_root() * 4096 + 100)).put('\x5a');
  file.close();
  EXPECT_THAT(TryOpen(OpenRequest()), FailsWith(Reason::kMetadataCorrupt));
}

TEST_F(LifecycleTest, AReadOnlyCacheCanBeReadAndNotChanged) {
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}, true), Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  const std::vector<std::byte> before = FileBytes(folder_.File("metadata"));
  v1::OpenCacheRequest open = OpenRequest();
  open.set_read_only(true);
  EXPECT_EQ(Open(open).state(), v1::Cache::STATE_READ_ONLY);
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
  EXPECT_THAT(Insert({{2, 20}}), FailsWith(Reason::kReadOnly));
  EXPECT_THAT(MarkDirty({1}), FailsWith(Reason::kReadOnly));
  EXPECT_THAT(Close(), Succeeds());
  EXPECT_EQ(FileBytes(folder_.File("metadata")), before);
}

TEST_F(LifecycleTest, UncleanMetadataIsAdopted) {
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}, {2, 20}}), Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  v1::OpenCacheRequest open = OpenRequest();
  open.set_assume_unclean(true);
  Context context;
  v1::OpenCacheResponse response;
  ASSERT_THAT(caches().OpenCache(&context, open, &response), Succeeds());
  EXPECT_TRUE(response.adopted());
  EXPECT_EQ(response.cache().dirty_blocks(), 2u);
  EXPECT_EQ(List(/*dirty_only=*/true), (Pairs{{1, 10}, {2, 20}}));
}

TEST_F(LifecycleTest, ContentsSurviveCloseAndOpen) {
  const uint64_t first = CreateStandard().incarnation();
  ASSERT_THAT(Insert({{5, 50}, {6, 60}}), Succeeds());
  ASSERT_THAT(MarkDirty({6}), Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  EXPECT_THAT(Close(), FailsWith(Reason::kCacheNotOpen));
  const v1::Cache cache = OpenStandard();
  EXPECT_NE(cache.incarnation(), first);
  EXPECT_EQ(cache.mapped_blocks(), 2u);
  EXPECT_EQ(cache.dirty_blocks(), 1u);
  EXPECT_TRUE(cache.superblock().clean_shutdown());
  EXPECT_EQ(List(), (Pairs{{5, 50}, {6, 60}}));
  EXPECT_EQ(List(true), (Pairs{{6, 60}}));
}

TEST_F(LifecycleTest, CloseCanInsistOnNothingDirty) {
  CreateStandard();
  ASSERT_THAT(Insert({{5, 50}}, true), Succeeds());
  v1::CloseCacheRequest request;
  request.set_name(kCache);
  request.set_require_no_dirty(true);
  v1::CloseCacheResponse response;
  Context refused;
  EXPECT_THAT(caches().CloseCache(&refused, request, &response), FailsWith(Reason::kDirtyBlocks));
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
  ASSERT_THAT(ClearDirty({{5, 50}}), Succeeds());
  Context context;
  EXPECT_THAT(caches().CloseCache(&context, request, &response), Succeeds());
}

TEST_F(LifecycleTest, ResizeGrowsAndShrinksButNotOverDirtyBlocks) {
  CreateStandard();
  ASSERT_THAT(Insert({{kCacheBlocks - 1, 7}}, true), Succeeds());
  v1::ResizeCacheRequest request;
  request.set_name(kCache);
  request.set_cache_blocks(kCacheBlocks + 1000);
  v1::ResizeCacheResponse response;
  ASSERT_THAT(Resize(request, &response), Succeeds());
  EXPECT_EQ(response.cache().superblock().cache_blocks(), kCacheBlocks + 1000);
  EXPECT_GE(response.result().durable_transaction(), response.result().transaction());
  ASSERT_THAT(Insert({{kCacheBlocks + 999, 8}}), Succeeds());

  request.set_cache_blocks(100);
  const grpc::Status refused = Resize(request, &response);
  EXPECT_THAT(refused, FailsWith(Reason::kDirtyBlocks));
  EXPECT_THAT(refused.error_message(), testing::HasSubstr(std::to_string(kCacheBlocks - 1)));
  ASSERT_THAT(ClearDirty({{kCacheBlocks - 1, 7}}), Succeeds());
  ASSERT_THAT(Resize(request, &response), Succeeds());
  EXPECT_EQ(List(), Pairs{});
  EXPECT_THAT(Insert({{100, 1}}), FailsWith(Reason::kCblockOutOfRange));
  request.clear_cache_blocks();
  EXPECT_THAT(Resize(request, &response), FailsWith(Reason::kInvalidRequest));
}

TEST_F(LifecycleTest, DeleteWipesOnlyWhenAsked) {
  CreateStandard();
  ASSERT_THAT(Insert({{5, 50}}, true), Succeeds());
  v1::DeleteCacheRequest request;
  request.set_name(kCache);
  v1::DeleteCacheResponse response;
  Context first;
  EXPECT_THAT(caches().DeleteCache(&first, request, &response), FailsWith(Reason::kDirtyBlocks));
  request.set_discard_dirty(true);
  Context second;
  ASSERT_THAT(caches().DeleteCache(&second, request, &response), Succeeds());
  v1::ProbeCacheResponse probe;
  ASSERT_THAT(Probe(folder_.File("metadata"), &probe), Succeeds());
  EXPECT_TRUE(probe.formatted());
  OpenStandard();
  request.set_wipe(true);
  Context third;
  ASSERT_THAT(caches().DeleteCache(&third, request, &response), Succeeds());
  ASSERT_THAT(Probe(folder_.File("metadata"), &probe), Succeeds());
  EXPECT_FALSE(probe.formatted());
}

TEST_F(LifecycleTest, ListPagesThroughTheCachesInTheOrderOfNames) {
  for (const std::string name : {"b", "a", "c"}) {
    NewMetadata(name);
    Create(CreateRequest(name, name));
  }
  v1::ListCachesRequest request;
  request.set_page_size(2);
  v1::ListCachesResponse response;
  Context first;
  ASSERT_THAT(caches().ListCaches(&first, request, &response), Succeeds());
  ASSERT_EQ(response.caches_size(), 2);
  EXPECT_EQ(response.caches(0).name(), "a");
  EXPECT_EQ(response.caches(1).name(), "b");
  request.set_page_token(response.next_page_token());
  Context second;
  ASSERT_THAT(caches().ListCaches(&second, request, &response), Succeeds());
  ASSERT_EQ(response.caches_size(), 1);
  EXPECT_EQ(response.caches(0).name(), "c");
  EXPECT_EQ(response.next_page_token(), "");
  request.set_page_size(1001);
  Context third;
  EXPECT_THAT(caches().ListCaches(&third, request, &response), FailsWith(Reason::kInvalidRequest));
  request.set_page_size(1);
  request.set_page_token("not a name");
  Context fourth;
  EXPECT_THAT(caches().ListCaches(&fourth, request, &response), FailsWith(Reason::kInvalidRequest));
}

TEST_F(LifecycleTest, ACacheThatIsNotOpenIsSaidToBeSo) {
  Context context;
  v1::GetCacheRequest request;
  request.set_name("nobody");
  v1::GetCacheResponse response;
  EXPECT_THAT(caches().GetCache(&context, request, &response), FailsWith(Reason::kCacheNotOpen));
  EXPECT_THAT(Commit("nobody"), FailsWith(Reason::kCacheNotOpen));
  EXPECT_THAT(MarkDirty({1}), FailsWith(Reason::kCacheNotOpen));
}

TEST_F(LifecycleTest, RestartAndReopenKeepWhatWasAcknowledged) {
  CreateStandard();
  ASSERT_THAT(Insert({{5, 50}}, true), Succeeds());
  Restart();
  Context context;
  v1::ListCachesResponse list;
  ASSERT_THAT(caches().ListCaches(&context, {}, &list), Succeeds());
  EXPECT_EQ(list.caches_size(), 0);
  EXPECT_EQ(OpenStandard().dirty_blocks(), 1u);
  EXPECT_EQ(List(), (Pairs{{5, 50}}));
}

}  // namespace
}  // namespace dmcached
