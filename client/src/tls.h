// TLS of the channel.
#ifndef DMCACHED_CLIENT_SRC_TLS_H_
#define DMCACHED_CLIENT_SRC_TLS_H_

#include <grpcpp/security/credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "dmcached/options.h"

namespace dmcached::client {

// For HOST:PORT with any of the TLS files.
bool UsesTls(const ClientOptions& options);

// Errors: INVALID_ARGUMENT (INVALID_REQUEST): a file is not given, or cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const ClientOptions& options);

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_TLS_H_
