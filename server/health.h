// grpc.health.v1.Health: "" is the process, "dmcached.v1.CacheService" readiness, "cache/NAME" one cache.
//
// States are told by StateMonitor, so neither Check nor Watch touches the engine.
#ifndef DMCACHED_SERVER_HEALTH_H_
#define DMCACHED_SERVER_HEALTH_H_

#include <map>
#include <memory>
#include <set>
#include <string>

#include "core/base/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace dmcached {

inline constexpr char kReadyService[] = "dmcached.v1.CacheService";

class HealthWatch;

class HealthService final : public grpc::health::v1::Health::CallbackService {  // Thread-safe.
 public:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  HealthService();
  // After the gRPC server is gone, and so every watch.
  ~HealthService() override = default;

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context, const grpc::health::v1::HealthCheckRequest* request) override;

  // Whether the daemon serves: false before the start is complete and from the beginning of a shutdown on.
  void SetReady(bool ready);
  // Every cache by name, and whether it can be used.
  void SetCaches(const std::map<std::string, bool>& caches);
  // Tells every watch NOT_SERVING and ends it, now and from now on.
  void Shutdown();

 private:
  friend class HealthWatch;

  Status StatusOf(const std::string& service) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellWatches() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Forget(HealthWatch* watch);

  Mutex mutex_;
  std::map<std::string, Status> services_ ABSL_GUARDED_BY(mutex_);
  std::set<HealthWatch*> watches_ ABSL_GUARDED_BY(mutex_);
  bool shut_down_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_HEALTH_H_
