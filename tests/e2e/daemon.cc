#include "tests/e2e/daemon.h"

#include <chrono>
#include <filesystem>
#include <fstream>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "server/log.h"
#include "spdlog/sinks/null_sink.h"

namespace dmcached {
namespace {

Log QuietLog() {
  return Log(std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::null_sink_mt>()));
}

}  // namespace

Context::Context() { set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1)); }

DaemonTest::DaemonTest() { config_.listen = {"unix:" + folder_.File("s")}; }

DaemonTest::~DaemonTest() { Stop(); }

void DaemonTest::Start() {
  absl::StatusOr<std::unique_ptr<App>> app = App::Start(config_, log_.value_or(QuietLog()), opener_);
  ASSERT_TRUE(app.ok()) << app.status();
  app_ = *std::move(app);
  // A channel of its own for each test: gRPC shares the connections of equal ones.
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxSendMessageSize(-1);
  channel_ = grpc::CreateCustomChannel(app_->addresses()[0], grpc::InsecureChannelCredentials(), arguments);
  caches_ = v1::CacheService::NewStub(channel_);
  metadata_ = v1::MetadataService::NewStub(channel_);
  health_ = grpc::health::v1::Health::NewStub(channel_);
}

void DaemonTest::Stop() {
  caches_ = nullptr;
  metadata_ = nullptr;
  health_ = nullptr;
  channel_ = nullptr;
  app_ = nullptr;
}

void DaemonTest::Restart() {
  Stop();
  Start();
}

std::string DaemonTest::NewMetadata(const std::string& name, uint64_t size_bytes) {
  return folder_.CreateFile(name, size_bytes);
}

v1::CreateCacheRequest DaemonTest::CreateRequest(const std::string& name, const std::string& file) {
  v1::CreateCacheRequest request;
  request.set_name(name);
  request.set_metadata_path(folder_.File(file));
  request.set_data_block_size_sectors(kBlockSectors);
  request.set_cache_blocks(kCacheBlocks);
  request.set_origin_size_sectors(kOriginBlocks * kBlockSectors);
  return request;
}

v1::Cache DaemonTest::Create(const v1::CreateCacheRequest& request) {
  Context context;
  v1::CreateCacheResponse response;
  EXPECT_THAT(caches().CreateCache(&context, request, &response), Succeeds());
  return response.cache();
}

v1::Cache DaemonTest::CreateStandard() {
  NewMetadata();
  return Create(CreateRequest());
}

v1::Cache DaemonTest::Open(const v1::OpenCacheRequest& request) {
  Context context;
  v1::OpenCacheResponse response;
  EXPECT_THAT(caches().OpenCache(&context, request, &response), Succeeds());
  return response.cache();
}

v1::Cache DaemonTest::OpenStandard() {
  v1::OpenCacheRequest request;
  request.set_name(kCache);
  request.set_metadata_path(folder_.File("metadata"));
  request.set_old_callers_gone(true);
  return Open(request);
}

grpc::Status DaemonTest::Recover(const std::string& name) {
  v1::OpenCacheRequest request;
  request.set_name(name);
  request.set_recover(true);
  Context context;
  v1::OpenCacheResponse response;
  return caches().OpenCache(&context, request, &response);
}

grpc::Status DaemonTest::Close(const std::string& name) {
  Context context;
  v1::CloseCacheRequest request;
  request.set_name(name);
  v1::CloseCacheResponse response;
  return caches().CloseCache(&context, request, &response);
}

v1::Cache DaemonTest::Get(const std::string& name) {
  Context context;
  v1::GetCacheRequest request;
  request.set_name(name);
  v1::GetCacheResponse response;
  EXPECT_THAT(caches().GetCache(&context, request, &response), Succeeds());
  return response.cache();
}

v1::MutationOptions DaemonTest::Options(const std::string& name) {
  v1::MutationOptions options;
  options.set_request_id("request-" + std::to_string(next_request_id_++));
  options.set_incarnation(Get(name).incarnation());
  return options;
}

v1::InsertMappingsRequest DaemonTest::InsertRequest(const Pairs& pairs, bool dirty) {
  v1::InsertMappingsRequest request;
  request.set_cache(kCache);
  for (const auto& [cblock, oblock] : pairs) {
    request.add_cblocks(cblock);
    request.add_oblocks(oblock);
    request.add_dirty(dirty);
  }
  *request.mutable_options() = Options();
  return request;
}

grpc::Status DaemonTest::Insert(const Pairs& pairs, bool dirty) {
  const v1::InsertMappingsRequest request = InsertRequest(pairs, dirty);
  Context context;
  v1::InsertMappingsResponse response;
  return metadata().InsertMappings(&context, request, &response);
}

grpc::Status DaemonTest::Remove(const Pairs& pairs, bool discard_dirty) {
  v1::RemoveMappingsRequest request;
  request.set_cache(kCache);
  request.set_discard_dirty(discard_dirty);
  for (const auto& [cblock, oblock] : pairs) {
    request.add_cblocks(cblock);
    request.add_oblocks(oblock);
  }
  *request.mutable_options() = Options();
  Context context;
  v1::RemoveMappingsResponse response;
  return metadata().RemoveMappings(&context, request, &response);
}

grpc::Status DaemonTest::MarkDirty(std::initializer_list<uint32_t> cblocks) {
  v1::MarkDirtyRequest request;
  request.set_cache(kCache);
  for (const uint32_t cblock : cblocks) request.add_cblocks(cblock);
  Context context;
  v1::MarkDirtyResponse response;
  return metadata().MarkDirty(&context, request, &response);
}

grpc::Status DaemonTest::ClearDirty(const Pairs& pairs) {
  v1::ClearDirtyRequest request;
  request.set_cache(kCache);
  for (const auto& [cblock, oblock] : pairs) {
    request.add_cblocks(cblock);
    request.add_oblocks(oblock);
  }
  *request.mutable_options() = Options();
  Context context;
  v1::ClearDirtyResponse response;
  return metadata().ClearDirty(&context, request, &response);
}

grpc::Status DaemonTest::Commit(const std::string& name) {
  v1::CommitRequest request;
  request.set_cache(name);
  Context context;
  v1::CommitResponse response;
  return metadata().Commit(&context, request, &response);
}

v1::LookupMappingsResponse DaemonTest::Lookup(std::initializer_list<uint32_t> cblocks) {
  v1::LookupMappingsRequest request;
  request.set_cache(kCache);
  for (const uint32_t cblock : cblocks) request.add_cblocks(cblock);
  Context context;
  v1::LookupMappingsResponse response;
  EXPECT_THAT(metadata().LookupMappings(&context, request, &response), Succeeds());
  return response;
}

Pairs DaemonTest::List(bool dirty_only) {
  v1::ListMappingsRequest request;
  request.set_cache(kCache);
  request.set_dirty_only(dirty_only);
  Context context;
  const auto reader = metadata().ListMappings(&context, request);
  Pairs pairs;
  for (v1::ListMappingsResponse page; reader->Read(&page);) {
    for (int i = 0; i < page.cblocks_size(); ++i) pairs.emplace_back(page.cblocks(i), page.oblocks(i));
  }
  EXPECT_THAT(reader->Finish(), Succeeds());
  return pairs;
}

std::vector<std::byte> FileBytes(const std::string& path) {
  std::vector<std::byte> bytes(std::filesystem::file_size(path));
  std::ifstream(path, std::ios::binary)
      .read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

}  // namespace dmcached
