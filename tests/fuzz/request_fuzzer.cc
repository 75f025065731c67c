// Arbitrary request messages, several calls at a time, to every method of a live server in this process, streams
// included: each call ends, and the server goes on.
//
// An input is a list of (method, messages, when to cancel).  All calls are made as if both sides streamed: a method
// that takes one message may get none, or several.  The server's caches lie on devices in memory.  request_seeds makes
// inputs to begin with.
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
#include "server/app.h"
#include "spdlog/sinks/null_sink.h"
#include "tests/fuzz/methods.h"

namespace dmcached {
namespace {

constexpr uint64_t kDeviceBytes = 4 << 20;

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

struct CallPlan {
  std::string method;
  std::vector<std::string> messages;
  int reads_until_cancelled = -1;  // Less than 0: it never is.
};

// Sends its messages one after the other and reads answers until the call ends.
class Call : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Call(grpc::GenericStub& stub, const CallPlan& plan, std::latch& done) : plan_(plan), done_(done) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    stub.PrepareBidiStreamingCall(&context_, plan.method, grpc::StubOptions(), this);
    WriteNext();
    ReadNext();
    StartCall();
  }

  void OnWriteDone(bool ok) override {
    if (ok) WriteNext();
  }
  void OnReadDone(bool ok) override {
    if (ok) ReadNext();
  }
  void OnDone(const grpc::Status&) override { done_.count_down(); }

 private:
  void WriteNext() {
    if (written_ == plan_.messages.size()) return StartWritesDone();
    const grpc::Slice slice(plan_.messages[written_++]);
    message_ = grpc::ByteBuffer(&slice, 1);
    StartWrite(&message_);
  }
  void ReadNext() {
    if (reads_++ == plan_.reads_until_cancelled) context_.TryCancel();
    StartRead(&answer_);
  }

  const CallPlan& plan_;
  std::latch& done_;
  grpc::ClientContext context_;
  grpc::ByteBuffer message_;
  grpc::ByteBuffer answer_;
  size_t written_ = 0;
  int reads_ = 0;
};

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

  // Makes all calls at once and waits for their ends.
  void Send(const std::vector<CallPlan>& plans) {
    std::latch done(static_cast<ptrdiff_t>(plans.size()));
    std::vector<std::unique_ptr<Call>> calls;
    for (const CallPlan& plan : plans) calls.push_back(std::make_unique<Call>(*stub_, plan, done));
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
  std::vector<CallPlan> calls;
  while (data.remaining_bytes() > 0 && calls.size() < 16) {
    const auto& method = *methods[data.ConsumeIntegralInRange<size_t>(0, methods.size() - 1)];
    CallPlan& plan = calls.emplace_back();
    plan.method = PathOf(method);
    const auto shape = data.ConsumeIntegral<uint8_t>();
    // Mostly one message where one is asked for.
    size_t messages = method.client_streaming() ? shape % 8 : shape % 16 == 0 ? 0 : shape % 16 == 1 ? 2 : 1;
    while (messages-- > 0) plan.messages.push_back(data.ConsumeRandomLengthString(4096));
    if (shape / 16 < 4) plan.reads_until_cancelled = shape / 16;
  }
  server->Send(calls);
  server->MustAnswer();
  return 0;
}
