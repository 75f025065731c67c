// CacheService: lifecycle of caches.
#ifndef DMCACHED_SERVER_CACHE_SERVICE_H_
#define DMCACHED_SERVER_CACHE_SERVICE_H_

#include <cstdint>

#include "core/base/executor.h"
#include "core/cache/engine.h"
#include "dmcached/v1/cache_service.grpc.pb.h"
#include "google/protobuf/message.h"
#include "server/authorization.h"
#include "server/log.h"

namespace dmcached {

// Largest message that is received or sent.
inline constexpr int kMaxMessageBytes = 4 << 20;

class CacheServiceImpl final : public v1::CacheService::CallbackService {
 public:
  // All outlive the service.
  CacheServiceImpl(Engine& engine, const Authorization& authorization, Executor& path_follower, Executor& readers,
                   const Log& log)
      : engine_(engine), authorization_(authorization), path_follower_(path_follower), readers_(readers), log_(log) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context, const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override;
  grpc::ServerUnaryReactor* ProbeCache(grpc::CallbackServerContext* context, const v1::ProbeCacheRequest* request,
                                       v1::ProbeCacheResponse* response) override;
  grpc::ServerUnaryReactor* PlanCache(grpc::CallbackServerContext* context, const v1::PlanCacheRequest* request,
                                      v1::PlanCacheResponse* response) override;
  grpc::ServerUnaryReactor* CreateCache(grpc::CallbackServerContext* context, const v1::CreateCacheRequest* request,
                                        v1::CreateCacheResponse* response) override;
  grpc::ServerUnaryReactor* OpenCache(grpc::CallbackServerContext* context, const v1::OpenCacheRequest* request,
                                      v1::OpenCacheResponse* response) override;
  grpc::ServerUnaryReactor* CloseCache(grpc::CallbackServerContext* context, const v1::CloseCacheRequest* request,
                                       v1::CloseCacheResponse* response) override;
  grpc::ServerUnaryReactor* GetCache(grpc::CallbackServerContext* context, const v1::GetCacheRequest* request,
                                     v1::GetCacheResponse* response) override;
  grpc::ServerUnaryReactor* ListCaches(grpc::CallbackServerContext* context, const v1::ListCachesRequest* request,
                                       v1::ListCachesResponse* response) override;
  grpc::ServerUnaryReactor* ResizeCache(grpc::CallbackServerContext* context, const v1::ResizeCacheRequest* request,
                                        v1::ResizeCacheResponse* response) override;
  grpc::ServerUnaryReactor* DeleteCache(grpc::CallbackServerContext* context, const v1::DeleteCacheRequest* request,
                                        v1::DeleteCacheResponse* response) override;

 private:
  // For rpcs that name paths: `go` (void(grpc::ServerUnaryReactor*)) finishes the call once the caller may have it
  // done.
  template <typename Go>
  grpc::ServerUnaryReactor* WhenAllowed(grpc::CallbackServerContext* context, const google::protobuf::Message& request,
                                        Go go);

  // What the log says about how a lifecycle call ended.
  template <typename Request>
  void LogOutcome(const char* event, const grpc::ServerContextBase& context, const Request& request,
                  const absl::Status& status) const;

  Engine& engine_;
  const Authorization& authorization_;
  Executor& path_follower_;
  Executor& readers_;
  const Log& log_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CACHE_SERVICE_H_
