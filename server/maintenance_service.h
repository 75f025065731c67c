// MaintenanceService: what looks after metadata as a whole.
#ifndef DMCACHED_SERVER_MAINTENANCE_SERVICE_H_
#define DMCACHED_SERVER_MAINTENANCE_SERVICE_H_

#include "core/maintenance/check_runner.h"
#include "dmcached/v1/maintenance_service.grpc.pb.h"

namespace dmcached {

class MaintenanceServiceImpl final : public v1::MaintenanceService::CallbackService {
 public:
  // `checks` outlives the service.
  explicit MaintenanceServiceImpl(CheckRunner& checks) : checks_(checks) {}

  grpc::ServerWriteReactor<v1::CheckResponse>* Check(grpc::CallbackServerContext* context,
                                                     const v1::CheckRequest* request) override;

 private:
  CheckRunner& checks_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_MAINTENANCE_SERVICE_H_
