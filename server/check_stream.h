// MaintenanceService.Check as a stream.
#ifndef DMCACHED_SERVER_CHECK_STREAM_H_
#define DMCACHED_SERVER_CHECK_STREAM_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/maintenance/check_runner.h"
#include "dmcached/v1/maintenance_service.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace dmcached {

// Hears how a check has ended.
using CheckEnded = absl::AnyInvocable<void(const absl::Status&) &&>;

// A check never waits for its reader: findings are gathered (there are never many: the checker merges them), progress
// is overwritten, and whatever is there goes out with the next message.  When the caller is gone the check ends.  What
// was found is kept until it is read, so an unread stream counts as a check of CheckRunner's.  `allowed`: whether the
// caller may; what a refused one gets.  `ended`, if there is one, hears how a check that has begun ended,
// which may be after the stream's end.
grpc::ServerWriteReactor<v1::CheckResponse>* StartCheck(grpc::CallbackServerContext* context,
                                                        const v1::CheckRequest& request, const absl::Status& allowed,
                                                        CheckRunner& runner, CheckEnded ended = nullptr);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CHECK_STREAM_H_
