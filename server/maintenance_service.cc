#include "server/maintenance_service.h"

#include "server/check_stream.h"

namespace dmcached {

grpc::ServerWriteReactor<v1::CheckResponse>* MaintenanceServiceImpl::Check(grpc::CallbackServerContext* context,
                                                                           const v1::CheckRequest* request) {
  const absl::Status allowed = authorization_.Check(*context, *request);
  if (!request->clear_needs_check()) return StartCheck(context, *request, allowed, checks_);
  // The stream, and with it the context, may end before the check does; so may this service, when the daemon ends.
  return StartCheck(context, *request, allowed, checks_,
                    [&authorization = authorization_, caller = CallerOf(*context), request = *request](
                        const absl::Status& result) { authorization.Audit(caller, request, "", result); });
}

}  // namespace dmcached
