// A daemon in the test's own process, with stubs, and short forms of the calls that many tests make.
#ifndef DMCACHED_TESTS_E2E_DAEMON_H_
#define DMCACHED_TESTS_E2E_DAEMON_H_

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/device/device_request.h"
#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "server/app.h"
#include "server/config.h"
#include "server/log.h"
#include "tests/e2e/call.h"
#include "tests/support/temp_dir.h"

namespace dmcached {

inline constexpr uint32_t kBlockSectors = 64;
inline constexpr uint32_t kCacheBlocks = 2000;
inline constexpr uint64_t kOriginBlocks = 20000;
inline constexpr char kCache[] = "c1";

// A client context that gives up after a minute, so that a hanging daemon fails the test instead of stopping it.
class Context : public grpc::ClientContext {
 public:
  Context();
};

// Pairs of (cblock, oblock).
using Pairs = std::vector<std::pair<uint32_t, uint64_t>>;

class DaemonTest : public testing::Test {
 protected:
  // Not started yet: a test may change `config_`, `opener_` and `log_` before it calls Start.
  DaemonTest();
  ~DaemonTest() override;

  void Start();
  void Stop();
  // Stops clean and starts again; configured caches are opened again.
  void Restart();
  App& app() { return *app_; }

  v1::CacheService::Stub& caches() { return *caches_; }
  v1::MetadataService::Stub& metadata() { return *metadata_; }
  grpc::health::v1::Health::Stub& health() { return *health_; }

  // A file of zeros for metadata.
  std::string NewMetadata(const std::string& name = "metadata", uint64_t size_bytes = 4 << 20);
  // The standard cache on a new file.
  v1::CreateCacheRequest CreateRequest(const std::string& name = kCache, const std::string& file = "metadata");
  v1::Cache Create(const v1::CreateCacheRequest& request);
  v1::Cache CreateStandard();
  v1::Cache Open(const v1::OpenCacheRequest& request);
  // Opens the standard file without hold-off.
  v1::Cache OpenStandard();
  grpc::Status Recover(const std::string& name = kCache);
  grpc::Status Close(const std::string& name = kCache);
  v1::Cache Get(const std::string& name = kCache);

  // Options with a fresh request id and the incarnation of the cache now.
  v1::MutationOptions Options(const std::string& name = kCache);

  grpc::Status Insert(const Pairs& pairs, bool dirty = false);
  grpc::Status Remove(const Pairs& pairs, bool discard_dirty = false);
  grpc::Status MarkDirty(std::initializer_list<uint32_t> cblocks);
  grpc::Status ClearDirty(const Pairs& pairs);
  grpc::Status Commit(const std::string& name = kCache);

  v1::InsertMappingsRequest InsertRequest(const Pairs& pairs, bool dirty = false);
  v1::LookupMappingsResponse Lookup(std::initializer_list<uint32_t> cblocks);
  // Every mapping, in cblock order: cblock, oblock.
  Pairs List(bool dirty_only = false);

  TempDir folder_;
  Config config_;
  DeviceOpener opener_;
  std::optional<Log> log_;  // Absent: nobody reads it.

 private:
  std::unique_ptr<App> app_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::CacheService::Stub> caches_;
  std::unique_ptr<v1::MetadataService::Stub> metadata_;
  std::unique_ptr<grpc::health::v1::Health::Stub> health_;
  std::atomic<uint64_t> next_request_id_{1};
};

// A metadata file as any process would find it.
std::vector<std::byte> FileBytes(const std::string& path);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_DAEMON_H_
