// The channel to the daemon, and the rules by which a unary call is attempted and repeated.
#ifndef DMCACHED_CLIENT_SRC_CONNECTION_H_
#define DMCACHED_CLIENT_SRC_CONNECTION_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dmcached/options.h"

namespace dmcached::client {

enum class Repeatable { kNo, kYes };

// How one unary call behaves.
struct CallRules {
  std::chrono::milliseconds timeout{0};  // Of one attempt; kNoDeadline: none.
  std::chrono::milliseconds repeat_for{0};
  Repeatable repeatable = Repeatable::kNo;
};

class Connection {  // Thread-safe.
 public:
  explicit Connection(ClientOptions options);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const ClientOptions& options() const { return options_; }

  // Waits for a connection, at most connect_timeout or until an attempt has failed.
  // Errors: UNAVAILABLE, NeverSent; INVALID_ARGUMENT (INVALID_REQUEST): the TLS files.
  absl::Status Connect() const;

  // Runs `attempt` until it is answered, as the rules allow.  `attempt` sends the same request each time.
  absl::Status Call(const CallRules& rules, absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) const;

 private:
  absl::Status Attempt(const CallRules& rules, absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) const;
  // What Call returns for the last answer; `unanswered`: a copy was sent before and got none.
  absl::Status Final(const absl::Status& status, bool unanswered) const;

  const ClientOptions options_;
  const absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials_;  // An error is what Connect returns.
  const std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_CONNECTION_H_
