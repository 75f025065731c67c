// MaintenanceService: what looks after metadata as a whole.
#ifndef DMCACHED_SERVER_MAINTENANCE_SERVICE_H_
#define DMCACHED_SERVER_MAINTENANCE_SERVICE_H_

#include "core/base/executor.h"
#include "core/maintenance/check_runner.h"
#include "dmcached/v1/maintenance_service.grpc.pb.h"
#include "server/authorization.h"

namespace dmcached {

class MaintenanceServiceImpl final : public v1::MaintenanceService::CallbackService {
 public:
  // All outlive the service.
  MaintenanceServiceImpl(CheckRunner& checks, const Authorization& authorization, Executor& path_follower)
      : checks_(checks), authorization_(authorization), path_follower_(path_follower) {}

  grpc::ServerWriteReactor<v1::CheckResponse>* Check(grpc::CallbackServerContext* context,
                                                     const v1::CheckRequest* request) override;

 private:
  CheckRunner& checks_;
  const Authorization& authorization_;
  Executor& path_follower_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_MAINTENANCE_SERVICE_H_
