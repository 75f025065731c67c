// Caches that the configuration names.
#include "grpcpp/create_channel.h"
#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class ConfiguredCachesTest : public DaemonTest {
 protected:
  void Configure(const std::string& name, const std::string& file) {
    CacheConfig cache;
    cache.name = name;
    cache.metadata = folder_.File(file);
    config_.caches.push_back(cache);
  }
};

TEST_F(ConfiguredCachesTest, OneThatCannotBeOpenedStaysListedAndKeepsNobodyFromServing) {
  Start();
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  Stop();

  Configure(kCache, "metadata");
  Configure("broken", "missing");
  Configure("unformatted", "zeros");
  NewMetadata("zeros");
  Start();
  EXPECT_EQ(Get().state(), v1::Cache::STATE_OPEN);
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
  const v1::Cache broken = Get("broken");
  EXPECT_EQ(broken.state(), v1::Cache::STATE_FAILED);
  EXPECT_THAT(broken.last_error(), testing::HasSubstr(folder_.File("missing")));
  EXPECT_EQ(broken.metadata_path(), folder_.File("missing"));
  EXPECT_EQ(Get("unformatted").state(), v1::Cache::STATE_FAILED);
  EXPECT_THAT(Commit("broken"), FailsWith(Reason::kCacheFailed));

  // OpenCache tries it again, also without its path.
  NewMetadata("missing");
  Create(CreateRequest("other", "zeros"));
  ASSERT_THAT(Close("other"), Succeeds());
  v1::OpenCacheRequest open;
  open.set_name("unformatted");
  EXPECT_EQ(Open(open).state(), v1::Cache::STATE_OPEN);
  open.set_name("broken");
  Context context;
  v1::OpenCacheResponse response;
  EXPECT_THAT(caches().OpenCache(&context, open, &response), FailsWith(Reason::kNotFormatted));
  EXPECT_EQ(Get("broken").state(), v1::Cache::STATE_FAILED);
}

TEST_F(ConfiguredCachesTest, ReadOnlyAndTrackingAreTakenFromTheConfiguration) {
  Start();
  CreateStandard();
  Stop();
  Configure(kCache, "metadata");
  config_.caches[0].dirty_tracking = DirtyTracking::kConservative;
  Start();
  EXPECT_EQ(Get().dirty_tracking(), v1::DIRTY_TRACKING_CONSERVATIVE);
  Stop();
  config_.caches[0].read_only = true;
  Start();
  EXPECT_EQ(Get().state(), v1::Cache::STATE_READ_ONLY);
}

TEST_F(ConfiguredCachesTest, FastAndOriginAreOpenedAndTheirSizesChecked) {
  Start();
  CreateStandard();
  Stop();
  const uint64_t block_bytes = uint64_t{kBlockSectors} * 512;
  folder_.CreateFile("fast", kCacheBlocks * block_bytes);
  folder_.CreateFile("origin", kOriginBlocks * block_bytes);
  Configure(kCache, "metadata");
  config_.caches[0].fast = folder_.File("fast");
  config_.caches[0].origin = folder_.File("origin");
  Start();
  const v1::Cache cache = Get();
  EXPECT_EQ(cache.state(), v1::Cache::STATE_OPEN);
  EXPECT_EQ(cache.fast_path(), folder_.File("fast"));
  EXPECT_EQ(cache.origin_path(), folder_.File("origin"));
  EXPECT_EQ(cache.fast_size_sectors(), uint64_t{kCacheBlocks} * kBlockSectors);
  EXPECT_EQ(cache.origin_size_sectors(), kOriginBlocks * kBlockSectors);
  // They are held.
  NewMetadata("other");
  v1::CreateCacheRequest other = CreateRequest("other", "other");
  other.set_fast_path(folder_.File("fast"));
  Context context;
  v1::CreateCacheResponse response;
  EXPECT_THAT(caches().CreateCache(&context, other, &response), FailsWith(Reason::kDeviceInUse));
  Stop();
  folder_.CreateFile("small", (kCacheBlocks - 1) * block_bytes);
  config_.caches[0].fast = folder_.File("small");
  Start();
  EXPECT_EQ(Get().state(), v1::Cache::STATE_FAILED);
  EXPECT_THAT(Get().last_error(), testing::HasSubstr("the fast device has"));
}

TEST_F(ConfiguredCachesTest, ConfiguredCachesAreOpenedAgainAfterARestart) {
  Start();
  CreateStandard();
  Stop();
  Configure(kCache, "metadata");
  Start();
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  Restart();
  EXPECT_EQ(List(true), (Pairs{{1, 10}}));
}

TEST_F(ConfiguredCachesTest, ASecondDaemonIsKeptOffSocketAndDevice) {
  Start();
  CreateStandard();
  const absl::StatusOr<std::unique_ptr<App>> same_socket = App::Start(config_, Log(), nullptr);
  ASSERT_FALSE(same_socket.ok());
  EXPECT_THAT(std::string(same_socket.status().message()), testing::HasSubstr("another dmcached already serves"));

  Config other = config_;
  other.listen = {"unix:" + folder_.File("other")};
  CacheConfig cache;
  cache.name = "same-device";
  cache.metadata = folder_.File("metadata");
  other.caches.push_back(cache);
  const absl::StatusOr<std::unique_ptr<App>> second = App::Start(other, Log(), nullptr);
  ASSERT_TRUE(second.ok()) << second.status();
  const auto channel = grpc::CreateChannel((*second)->addresses()[0], grpc::InsecureChannelCredentials());
  Context context;
  v1::GetCacheRequest request;
  request.set_name("same-device");
  v1::GetCacheResponse response;
  ASSERT_THAT(v1::CacheService::NewStub(channel)->GetCache(&context, request, &response), Succeeds());
  EXPECT_EQ(response.cache().state(), v1::Cache::STATE_FAILED);
  EXPECT_THAT(response.cache().last_error(), testing::HasSubstr("locked by another user"));
  // The first one goes on.
  EXPECT_THAT(Insert({{1, 10}}), Succeeds());
}

}  // namespace
}  // namespace dmcached
