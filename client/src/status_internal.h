// How the library makes the statuses that dmcached/status.h reads.
#ifndef DMCACHED_CLIENT_SRC_STATUS_INTERNAL_H_
#define DMCACHED_CLIENT_SRC_STATUS_INTERNAL_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace dmcached::client {

// The status of an rpc, with the ErrorInfo of its trailer as payloads.
absl::Status FromGrpc(const grpc::Status& status);

// UNAVAILABLE before anything was sent.
absl::Status NeverSentError(absl::string_view message);

// `status` answers a repeat, but does not settle what became of an earlier copy.
absl::Status WithEarlierCopy(const absl::Status& status);

void SetDetail(absl::Status& status, absl::string_view key, absl::string_view value);

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_STATUS_INTERNAL_H_
