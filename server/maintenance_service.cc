#include "server/maintenance_service.h"

#include "server/check_stream.h"

namespace dmcached {

grpc::ServerWriteReactor<v1::CheckResponse>* MaintenanceServiceImpl::Check(grpc::CallbackServerContext* context,
                                                                           const v1::CheckRequest* request) {
  return StartCheck(context, *request, authorization_, path_follower_, checks_);
}

}  // namespace dmcached
