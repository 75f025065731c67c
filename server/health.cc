#include "server/health.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "grpcpp/support/server_callback.h"
#include "server/status_util.h"
#include "server/unary.h"

namespace dmcached {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

constexpr char kCachePrefix[] = "cache/";
// No service has such a long name, and none is kept for one.
constexpr size_t kMaxServiceBytes = 256;

// For a call that has nothing to watch.
class RefusedWatch final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  explicit RefusedWatch(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

// One Watch call.  Everything is under the service's mutex, gRPC's operations too: their reactions never run inside the
// call that starts them.
class HealthWatch final : public grpc::ServerWriteReactor<HealthCheckResponse> {
 public:
  HealthWatch(HealthService& service, std::string name) : service_(service), name_(std::move(name)) {
    MutexLock lock(service_.mutex_);
    service_.watches_.insert(this);
    Tell(service_.StatusOf(name_), service_.shut_down_);
  }

  // Writes the status if it is news; ends the stream after that if `last`.
  void Tell(HealthService::Status status, bool last) ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_.mutex_) {
    wanted_ = status;
    last_ = last_ || last;
    Step();
  }

  const std::string& name() const { return name_; }

  void OnWriteDone(bool ok) override {
    MutexLock lock(service_.mutex_);
    writing_ = false;
    cancelled_ = cancelled_ || !ok;
    Step();
  }

  void OnCancel() override {
    MutexLock lock(service_.mutex_);
    cancelled_ = true;
    Step();
  }

  void OnDone() override {
    service_.Forget(this);
    delete this;
  }

 private:
  void Step() ABSL_EXCLUSIVE_LOCKS_REQUIRED(service_.mutex_) {
    if (writing_ || finished_) return;
    if (cancelled_) {
      finished_ = true;
      Finish(CallerGoneStatus());
    } else if (told_ != wanted_) {
      told_ = wanted_;
      message_.set_status(*wanted_);
      writing_ = true;
      StartWrite(&message_);
    } else if (last_) {
      finished_ = true;
      Finish(ToGrpcStatus(MakeError(Reason::kShuttingDown, "the daemon is shutting down")));
    }
  }

  HealthService& service_;
  const std::string name_;
  HealthCheckResponse message_;
  std::optional<HealthService::Status> told_;
  std::optional<HealthService::Status> wanted_;
  bool writing_ = false;
  bool cancelled_ = false;
  bool last_ = false;
  bool finished_ = false;
};

HealthService::HealthService() {
  services_[""] = HealthCheckResponse::SERVING;
  services_[kReadyService] = HealthCheckResponse::NOT_SERVING;
}

grpc::ServerUnaryReactor* HealthService::Check(grpc::CallbackServerContext* context, const HealthCheckRequest* request,
                                               HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  MutexLock lock(mutex_);
  const Status status = StatusOf(request->service());
  if (status == HealthCheckResponse::SERVICE_UNKNOWN) {
    reactor->Finish(grpc::Status(grpc::StatusCode::NOT_FOUND,
                                 CutText("unknown service \"" + request->service() + "\"", kMaxStatusTextBytes)));
  } else {
    response->set_status(status);
    reactor->Finish(grpc::Status::OK);
  }
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* HealthService::Watch(grpc::CallbackServerContext* /*context*/,
                                                                    const HealthCheckRequest* request) {
  if (request->service().size() > kMaxServiceBytes) {
    return new RefusedWatch(ToGrpcStatus(MakeError(
        Reason::kInvalidRequest, absl::StrCat("the name of a service has at most ", kMaxServiceBytes, " bytes"))));
  }
  return new HealthWatch(*this, request->service());
}

void HealthService::SetReady(bool ready) {
  MutexLock lock(mutex_);
  services_[kReadyService] = ready ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  TellWatches();
}

void HealthService::SetCaches(const std::map<std::string, bool>& caches) {
  MutexLock lock(mutex_);
  if (shut_down_) return;
  std::erase_if(services_, [](const auto& service) { return service.first.rfind(kCachePrefix, 0) == 0; });
  for (const auto& [name, usable] : caches) {
    services_[kCachePrefix + name] = usable ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }
  TellWatches();
}

void HealthService::Shutdown() {
  MutexLock lock(mutex_);
  shut_down_ = true;
  for (auto& [name, status] : services_) status = HealthCheckResponse::NOT_SERVING;
  TellWatches();
}

HealthService::Status HealthService::StatusOf(const std::string& service) const {
  const auto found = services_.find(service);
  return found == services_.end() ? HealthCheckResponse::SERVICE_UNKNOWN : found->second;
}

// The analysis cannot know that the service of each watch is this one.
void HealthService::TellWatches() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (HealthWatch* watch : watches_) watch->Tell(StatusOf(watch->name()), shut_down_);
}

void HealthService::Forget(HealthWatch* watch) {
  MutexLock lock(mutex_);
  watches_.erase(watch);
}

}  // namespace dmcached
