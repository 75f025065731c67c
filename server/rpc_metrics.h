// Counts every rpc, with the names of go-grpc-prometheus, so that existing dashboards work.
#ifndef DMCACHED_SERVER_RPC_METRICS_H_
#define DMCACHED_SERVER_RPC_METRICS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/histogram.h"
#include "core/base/mutex.h"
#include "grpcpp/support/server_interceptor.h"
#include "grpcpp/support/status_code_enum.h"
#include "server/metric_families.h"

namespace dmcached {

class RpcMetrics {  // Thread-safe.
 public:
  // Of one method.
  struct Method {
    std::string type;     // unary, client_stream, server_stream, bidi_stream.
    std::string service;  // dmcached.v1.CacheService
    std::string name;     // GetCache
    std::atomic<uint64_t> started{0};
    std::array<std::atomic<uint64_t>, 17> handled{};  // By canonical code.
    std::atomic<uint64_t> received{0};
    std::atomic<uint64_t> sent{0};
    LatencyHistogram seconds{kLatencyBoundsSeconds};
    // Its handler uses CountedRpc.  An interceptor costs an rpc, and each message of a stream, one more way through
    // gRPC's queue to another thread: too much where calls are short.
    std::atomic<bool> counts_itself{false};
  };

  // The counters of an rpc; they live as long as this object.  gRPC calls interceptors only for registered methods, so
  // their number is bounded.
  Method& Find(const std::string& path, grpc::experimental::ServerRpcInfo::Type type);
  // The same of a method whose handler counts, which then no interceptor does.  A request that cannot be parsed is not
  // counted: it does not reach the handler.
  Method& FindForHandler(const std::string& path, grpc::experimental::ServerRpcInfo::Type type);

  void AddTo(MetricFamilies& families) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<Method>> methods_ ABSL_GUARDED_BY(mutex_);
};

// One rpc, from its begin to the end of this object.
class CountedRpc {  // Not thread-safe.
 public:
  // Both outlive it.
  CountedRpc(RpcMetrics::Method& method, const Clock& clock);
  CountedRpc(CountedRpc&& other) noexcept;
  CountedRpc& operator=(CountedRpc&&) = delete;
  // An rpc that is gone before it had a status was cancelled.
  ~CountedRpc();

  void CountReceived() { method_->received.fetch_add(1, std::memory_order_relaxed); }
  void CountSent() { method_->sent.fetch_add(1, std::memory_order_relaxed); }
  void set_code(grpc::StatusCode code) { code_ = code; }

 private:
  RpcMetrics::Method* method_;  // Null: moved from.
  const Clock* clock_;
  Duration begin_;
  grpc::StatusCode code_ = grpc::StatusCode::CANCELLED;
};

// Makes the interceptor that counts; `metrics` and `clock` outlive the server.
class RpcMetricsFactory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  RpcMetricsFactory(RpcMetrics& metrics, const Clock& clock) : metrics_(metrics), clock_(clock) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(grpc::experimental::ServerRpcInfo* info) override;

 private:
  RpcMetrics& metrics_;
  const Clock& clock_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_RPC_METRICS_H_
