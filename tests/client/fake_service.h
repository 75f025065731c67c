// A daemon whose answers a test writes: the generated services on a unix socket, each rpc a function of the test.
#ifndef DMCACHED_TESTS_CLIENT_FAKE_SERVICE_H_
#define DMCACHED_TESTS_CLIENT_FAKE_SERVICE_H_

#include <grpc/grpc.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/error_details.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace dmcached {

// What the test sets between calls and a thread of gRPC calls: ThreadSanitizer does not see that the socket between
// them puts the two in order, so a mutex does.
template <typename Signature>
class Settable {  // Thread-safe.
 public:
  template <typename Function>
  Settable& operator=(Function function) {
    MutexLock lock(mutex_);
    function_ = std::move(function);
    return *this;
  }
  // Empty: not set yet.
  std::function<Signature> get() const {
    MutexLock lock(mutex_);
    return function_;
  }

 private:
  mutable Mutex mutex_;
  std::function<Signature> function_ ABSL_GUARDED_BY(mutex_);
};

// Items that a test and a thread of gRPC pass one another, for the same reason.
template <typename Item>
class Record {  // Thread-safe.
 public:
  void Set(std::vector<Item> items) {
    MutexLock lock(mutex_);
    items_ = std::move(items);
  }
  // Returns how many there are now.
  size_t Add(Item item) {
    MutexLock lock(mutex_);
    items_.push_back(std::move(item));
    return items_.size();
  }
  size_t size() const {
    MutexLock lock(mutex_);
    return items_.size();
  }
  Item operator[](size_t index) const {
    MutexLock lock(mutex_);
    return items_.at(index);
  }

 private:
  mutable Mutex mutex_;
  std::vector<Item> items_ ABSL_GUARDED_BY(mutex_);
};

template <typename Request, typename Response>
using Answer = Settable<grpc::Status(grpc::ServerContext*, const Request&, Response&)>;

template <typename Request, typename Response>
grpc::Status Give(const Answer<Request, Response>& answer, grpc::ServerContext* context, const Request* request,
                  Response* response) {
  const auto given = answer.get();
  if (!given) return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "the test has no answer");
  return given(context, *request, *response);
}

// rpc `name` of a service answers what the function `name` says.
#define DMCACHED_FAKE_RPC(name)                                                                                   \
  grpc::Status name(grpc::ServerContext* context, const v1::name##Request* request, v1::name##Response* response) \
      override {                                                                                                  \
    return Give(on_##name, context, request, response);                                                           \
  }                                                                                                               \
  Answer<v1::name##Request, v1::name##Response> on_##name

class FakeCacheService : public v1::CacheService::Service {
 public:
  DMCACHED_FAKE_RPC(GetServerInfo);
  DMCACHED_FAKE_RPC(ProbeCache);
  DMCACHED_FAKE_RPC(PlanCache);
  DMCACHED_FAKE_RPC(CreateCache);
  DMCACHED_FAKE_RPC(OpenCache);
  DMCACHED_FAKE_RPC(CloseCache);
  DMCACHED_FAKE_RPC(GetCache);
  DMCACHED_FAKE_RPC(ListCaches);
  DMCACHED_FAKE_RPC(ResizeCache);
  DMCACHED_FAKE_RPC(DeleteCache);
};

class FakeMetadataService : public v1::MetadataService::Service {
 public:
  DMCACHED_FAKE_RPC(ReserveCblocks);
  DMCACHED_FAKE_RPC(ReleaseCblocks);
  DMCACHED_FAKE_RPC(InsertMappings);
  DMCACHED_FAKE_RPC(RemoveMappings);
  DMCACHED_FAKE_RPC(MarkDirty);
  DMCACHED_FAKE_RPC(ClearDirty);
  DMCACHED_FAKE_RPC(LookupMappings);
  DMCACHED_FAKE_RPC(SetDiscards);
  DMCACHED_FAKE_RPC(ClearDiscards);
  DMCACHED_FAKE_RPC(BeginHints);
  DMCACHED_FAKE_RPC(SaveHints);
  DMCACHED_FAKE_RPC(GetStats);
  DMCACHED_FAKE_RPC(SetStats);
  DMCACHED_FAKE_RPC(Commit);

  using MappingWriter = grpc::ServerWriter<v1::ListMappingsResponse>;
  grpc::Status ListMappings(grpc::ServerContext* context, const v1::ListMappingsRequest* request,
                            MappingWriter* writer) override {
    return on_ListMappings.get()(context, *request, *writer);
  }
  Settable<grpc::Status(grpc::ServerContext*, const v1::ListMappingsRequest&, MappingWriter&)> on_ListMappings;

  using DiscardWriter = grpc::ServerWriter<v1::ListDiscardsResponse>;
  grpc::Status ListDiscards(grpc::ServerContext*, const v1::ListDiscardsRequest* request,
                            DiscardWriter* writer) override {
    return on_ListDiscards.get()(*request, *writer);
  }
  Settable<grpc::Status(const v1::ListDiscardsRequest&, DiscardWriter&)> on_ListDiscards;

  using MutateCall = grpc::ServerReaderWriter<v1::MutateResponse, v1::MutateRequest>;
  grpc::Status Mutate(grpc::ServerContext* context, MutateCall* call) override {
    return on_Mutate.get()(context, *call);
  }
  Settable<grpc::Status(grpc::ServerContext*, MutateCall&)> on_Mutate;
};

#undef DMCACHED_FAKE_RPC

class FakeHealthService : public grpc::health::v1::Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext* context, const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override {
    return Give(on_Check, context, request, response);
  }
  Answer<grpc::health::v1::HealthCheckRequest, grpc::health::v1::HealthCheckResponse> on_Check;
};

// Answers are set before the first call.
class FakeDaemon {
 public:
  FakeDaemon() {
    // When its last user is gone, gRPC's library may take 10 s to end: here it has one for good.
    static const bool kept = (grpc_init(), true);
    static_cast<void>(kept);
    Start();
  }
  ~FakeDaemon() { Stop(); }

  // Again, at the same address.
  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.RegisterService(&cache);
    builder.RegisterService(&metadata);
    builder.RegisterService(&health);
    server_ = builder.BuildAndStart();
  }

  // Refuses connections from now on.
  void Stop() {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
  }

  std::string address() const { return "unix:" + folder_.File("socket"); }

  FakeCacheService cache;
  FakeMetadataService metadata;
  FakeHealthService health;

 private:
  const TempDir folder_;
  std::unique_ptr<grpc::Server> server_;
};

// An error as the service sends it.
inline grpc::Status ServiceError(grpc::StatusCode code, const std::string& reason, const std::string& message,
                                 const std::map<std::string, std::string>& metadata = {}) {
  v1::ErrorInfo info;
  info.set_reason(reason);
  info.set_domain("dmcached");
  info.mutable_metadata()->insert(metadata.begin(), metadata.end());
  v1::ErrorStatus details;
  details.set_code(code);
  details.set_message(message);
  google::protobuf::Any* any = details.add_details();
  any->set_type_url("type.googleapis.com/google.rpc.ErrorInfo");
  info.SerializeToString(any->mutable_value());
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CLIENT_FAKE_SERVICE_H_
