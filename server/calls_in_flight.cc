#include "server/calls_in_flight.h"

#include <string_view>
#include <utility>

#include "server/caller.h"

namespace dmcached {
namespace {

constexpr std::string_view kOurs = "/dmcached.v1.";

}  // namespace

// One call: gRPC makes it when the call arrives and deletes it when the call has ended.
class CallsInFlight::Count final : public grpc::experimental::Interceptor {
 public:
  Count(CallsInFlight& owner, grpc::experimental::ServerRpcInfo& call)
      : owner_(owner), context_(*call.server_context()), ours_(std::string_view(call.method()).starts_with(kOurs)) {}
  ~Count() override {
    if (!caller_.empty()) owner_.Leave(caller_);
  }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    // Before this the call has no caller yet.
    if (methods->QueryInterceptionHookPoint(grpc::experimental::InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      Caller caller = CallerOf(context_);
      if (caller.has_certificate) {
        caller_ = std::move(caller.name);
        owner_.Enter(caller_);
        if (!ours_ && owner_.HasTooMany(caller_)) context_.TryCancel();
      }
    }
    methods->Proceed();
  }

 private:
  CallsInFlight& owner_;
  grpc::ServerContextBase& context_;
  const bool ours_;
  std::string caller_;  // Empty: not counted.
};

class CallsInFlight::CountFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CountFactory(CallsInFlight& owner) : owner_(owner) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* call) override {
    return new Count(owner_, *call);
  }

 private:
  CallsInFlight& owner_;
};

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CallsInFlight::Counter() {
  return std::make_unique<CountFactory>(*this);
}

bool CallsInFlight::HasTooMany(const std::string& caller) const {
  MutexLock lock(mutex_);
  const auto found = calls_.find(caller);
  return found != calls_.end() && found->second > limit_;
}

void CallsInFlight::Enter(const std::string& caller) {
  MutexLock lock(mutex_);
  ++calls_[caller];
}

void CallsInFlight::Leave(const std::string& caller) {
  MutexLock lock(mutex_);
  const auto found = calls_.find(caller);
  if (--found->second == 0) calls_.erase(found);
}

}  // namespace dmcached
