// MaintenanceService.Check as a stream.
#ifndef DMCACHED_SERVER_CHECK_STREAM_H_
#define DMCACHED_SERVER_CHECK_STREAM_H_

#include "core/base/executor.h"
#include "core/maintenance/check_runner.h"
#include "dmcached/v1/maintenance_service.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/authorization.h"

namespace dmcached {

// A check never waits for its reader: findings are gathered (there are never many: the checker merges them), progress
// is overwritten, and whatever is there goes out with the next message.  When the caller is gone the check ends.  What
// was found is kept until it is read, so an unread stream counts as a check of CheckRunner's.  One that was to clear
// needs_check is audited, whatever came of it, maybe after the stream's end.  All but `context` and `request` outlive
// the check; `path_follower` is where the path of a request is followed.
grpc::ServerWriteReactor<v1::CheckResponse>* StartCheck(grpc::CallbackServerContext* context,
                                                        const v1::CheckRequest& request,
                                                        const Authorization& authorization, Executor& path_follower,
                                                        CheckRunner& runner);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CHECK_STREAM_H_
