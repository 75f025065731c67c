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
  };

  // The counters of an rpc; they live as long as this object.  gRPC calls interceptors only for registered methods, so
  // their number is bounded.
  Method& Find(const std::string& path, grpc::experimental::ServerRpcInfo::Type type);

  void AddTo(MetricFamilies& families) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, std::unique_ptr<Method>> methods_ ABSL_GUARDED_BY(mutex_);
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
