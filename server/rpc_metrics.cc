#include "server/rpc_metrics.h"

#include <chrono>
#include <optional>
#include <utility>

#include "grpcpp/support/interceptor.h"
#include "grpcpp/support/status.h"

namespace dmcached {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::ServerRpcInfo;

// As Go spells the codes, which is what dashboards filter by.
constexpr std::array<const char*, 17> kCodeNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

const char* TypeName(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return "unary";
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return "client_stream";
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return "server_stream";
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return "bidi_stream";
  }
  return "unknown";
}

// Lives as long as its rpc.
class CountingInterceptor : public grpc::experimental::Interceptor {
 public:
  CountingInterceptor(RpcMetrics::Method& method, const Clock& clock) : rpc_(std::in_place, method, clock) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    Count(*methods);
    methods->Proceed();
  }

 private:
  // Hooks of a caller that goes come in another thread: they touch nothing.
  void Count(grpc::experimental::InterceptorBatchMethods& methods) {
    // POST_RECV_MESSAGE also comes at the end of a stream, without a message.
    if (methods.QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        methods.GetRecvMessage() != nullptr && rpc_.has_value()) {
      rpc_->CountReceived();
    }
    if (methods.QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE) && rpc_.has_value()) {
      rpc_->CountSent();
    }
    if (methods.QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS) && rpc_.has_value()) {
      rpc_->set_code(methods.GetSendStatus().error_code());
      rpc_.reset();  // Before the caller has its answer, so that the next scrape tells of it.
    }
  }

  std::optional<CountedRpc> rpc_;  // Until it has its status.
};

}  // namespace

RpcMetrics::Method& RpcMetrics::Find(const std::string& path, ServerRpcInfo::Type type) {
  MutexLock lock(mutex_);
  std::unique_ptr<Method>& method = methods_[path];
  if (method == nullptr) {
    method = std::make_unique<Method>();
    const size_t slash = path.rfind('/');
    method->type = TypeName(type);
    method->service = slash == std::string::npos ? "" : path.substr(1, slash - 1);
    method->name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  }
  return *method;
}

RpcMetrics::Method& RpcMetrics::FindForHandler(const std::string& path, ServerRpcInfo::Type type) {
  Method& method = Find(path, type);
  method.counts_itself = true;
  return method;
}

void RpcMetrics::AddTo(MetricFamilies& families) const {
  MutexLock lock(mutex_);
  for (const auto& [path, method] : methods_) {
    if (method->started == 0) continue;  // Known for its handler's sake.
    const MetricLabels labels = {
        {"grpc_type", method->type}, {"grpc_service", method->service}, {"grpc_method", method->name}};
    families.Counter("grpc_server_started_total", "RPCs that began.", labels, static_cast<double>(method->started));
    for (size_t code = 0; code < kCodeNames.size(); ++code) {
      // Only codes that occurred: all of them for every method would be a thousand series of zeros.
      if (method->handled[code] == 0) continue;
      MetricLabels with_code = labels;
      with_code.push_back({"grpc_code", kCodeNames[code]});
      families.Counter("grpc_server_handled_total", "RPCs that ended, by code.", std::move(with_code),
                       static_cast<double>(method->handled[code]));
    }
    families.Counter("grpc_server_msg_received_total", "Messages received.", labels,
                     static_cast<double>(method->received));
    families.Counter("grpc_server_msg_sent_total", "Messages sent.", labels, static_cast<double>(method->sent));
    families.AddHistogram("grpc_server_handling_seconds", "Time from the begin of an RPC to its end.", labels,
                          method->seconds);
  }
}

CountedRpc::CountedRpc(RpcMetrics::Method& method, const Clock& clock)
    : method_(&method), clock_(&clock), begin_(clock.Monotonic()) {
  method_->started.fetch_add(1, std::memory_order_relaxed);
}

CountedRpc::CountedRpc(CountedRpc&& other) noexcept
    : method_(std::exchange(other.method_, nullptr)), clock_(other.clock_), begin_(other.begin_), code_(other.code_) {}

CountedRpc::~CountedRpc() {
  if (method_ == nullptr) return;
  method_->handled[static_cast<size_t>(code_)].fetch_add(1, std::memory_order_relaxed);
  method_->seconds.Observe(std::chrono::duration<double>(clock_->Monotonic() - begin_).count());
}

grpc::experimental::Interceptor* RpcMetricsFactory::CreateServerInterceptor(ServerRpcInfo* info) {
  RpcMetrics::Method& method = metrics_.Find(info->method(), info->type());
  return method.counts_itself ? nullptr : new CountingInterceptor(method, clock_);
}

}  // namespace dmcached
