// Arbitrary request messages, several at a time, to every method of a live server in this process: each is answered,
// and the server goes on.
//
// An input is a list of (method, message).  The server's caches lie on devices in memory.
#include <fuzzer/FuzzedDataProvider.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/status.h"
#include "core/device/memory_device.h"
#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "server/app.h"
#include "spdlog/sinks/null_sink.h"

namespace dmcached {
namespace {

constexpr uint64_t kDeviceBytes = 4 << 20;

// Every method, as the descriptors of both services name it.
std::vector<const google::protobuf::MethodDescriptor*> Methods() {
  std::vector<const google::protobuf::MethodDescriptor*> methods;
  for (const char* service : {"dmcached.v1.CacheService", "dmcached.v1.MetadataService"}) {
    const auto* found = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(service);
    DMCACHED_CHECK(found != nullptr);
    for (int i = 0; i < found->method_count(); ++i) methods.push_back(found->method(i));
  }
  return methods;
}

std::string PathOf(const google::protobuf::MethodDescriptor& method) {
  return "/" + method.service()->full_name() + "/" + method.name();
}

// Devices "/m0" to "/m3"; each open finds zeros.
absl::StatusOr<std::unique_ptr<BlockDevice>> OpenDevice(const DeviceRequest& request) {
  if (request.path.size() != 3 || request.path[1] != 'm' || request.path[2] < '0' || request.path[2] > '3') {
    return MakeError(Reason::kDeviceNotFound, "no such device");
  }
  return std::make_unique<MemoryDevice>(kDeviceBytes, request.path);
}

Log QuietLog() {
  return Log(std::make_shared<spdlog::logger>("fuzz", std::make_shared<spdlog::sinks::null_sink_mt>()));
}

class Server {
 public:
  Server() {
    std::string folder = "/tmp/dmcached-fuzz-XXXXXX";
    DMCACHED_CHECK(mkdtemp(folder.data()) != nullptr);
    Config config;
    config.listen = {"unix:" + folder + "/s"};
    config.commit_interval_ms = 10;
    auto app = App::Start(config, QuietLog(), OpenDevice);
    if (!app.ok()) {
      std::fprintf(stderr, "%s\n", app.status().ToString().c_str());
      std::abort();
    }
    app_ = *std::move(app);
    channel_ = grpc::CreateChannel(app_->addresses()[0], grpc::InsecureChannelCredentials());
    stub_ = std::make_unique<grpc::GenericStub>(channel_);
    const auto caches = v1::CacheService::NewStub(channel_);
    for (const char* name : {"a", "b"}) {
      v1::CreateCacheRequest request;
      request.set_name(name);
      request.set_metadata_path(std::string("/m") + (name[0] == 'a' ? "0" : "1"));
      request.set_data_block_size_sectors(64);
      request.set_cache_blocks(2000);
      request.set_origin_size_sectors(64 * 10000);
      request.set_dirty_tracking(name[0] == 'a' ? v1::DIRTY_TRACKING_EXACT : v1::DIRTY_TRACKING_CONSERVATIVE);
      grpc::ClientContext context;
      v1::CreateCacheResponse response;
      DMCACHED_CHECK(caches->CreateCache(&context, request, &response).ok());
    }
  }

  // Sends all at once and waits for all answers.
  void Send(const std::vector<std::pair<std::string, std::string>>& calls) {
    struct Call {
      grpc::ClientContext context;
      grpc::ByteBuffer request;
      grpc::ByteBuffer response;
    };
    std::vector<std::unique_ptr<Call>> running;
    std::latch done(static_cast<ptrdiff_t>(calls.size()));
    for (const auto& [method, message] : calls) {
      Call& call = *running.emplace_back(std::make_unique<Call>());
      const grpc::Slice slice(message);
      call.request = grpc::ByteBuffer(&slice, 1);
      call.context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
      stub_->UnaryCall(&call.context, method, grpc::StubOptions(), &call.request, &call.response,
                       [&done](const grpc::Status&) { done.count_down(); });
    }
    done.wait();
  }

  void MustAnswer() {
    const auto caches = v1::CacheService::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    v1::GetServerInfoResponse response;
    DMCACHED_CHECK(caches->GetServerInfo(&context, {}, &response).ok());
  }

 private:
  std::unique_ptr<App> app_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::GenericStub> stub_;
};

}  // namespace
}  // namespace dmcached

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace dmcached;          // NOLINT(google-build-using-namespace)
  static auto* server = new Server;  // Until the process ends.
  static const auto methods = Methods();
  FuzzedDataProvider data(bytes, size);
  std::vector<std::pair<std::string, std::string>> calls;
  while (data.remaining_bytes() > 0 && calls.size() < 16) {
    const auto& method = *methods[data.ConsumeIntegralInRange<size_t>(0, methods.size() - 1)];
    calls.emplace_back(PathOf(method), data.ConsumeRandomLengthString(4096));
  }
  server->Send(calls);
  server->MustAnswer();
  return 0;
}
