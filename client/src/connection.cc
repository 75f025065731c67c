#include "client/src/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/src/status_internal.h"
#include "client/src/tls.h"
#include "dmcached/status.h"

namespace dmcached::client {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLongestPause{2000};
constexpr int kMaxReceiveBytes = 16 << 20;

// Without credentials the channel fails every call; Connect says why before one is made.
std::shared_ptr<grpc::Channel> MakeChannel(const ClientOptions& options,
                                           const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  // A dead peer is noticed while calls without a deadline wait.  The daemon permits a ping every 10 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  // Clients with the same address must not share a connection that another one has seen fail.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options.tls.server_name.empty()) arguments.SetSslTargetNameOverride(options.tls.server_name);
  return grpc::CreateCustomChannel(options.address, credentials, arguments);
}

// Why the daemon cannot be reached, as far as is known; gRPC does not say.
std::string ConnectMessage(const ClientOptions& options) {
  const std::string& address = options.address;
  std::string message = absl::StrCat("cannot connect to ", address);
  if (absl::StartsWith(address, "unix:")) {
    std::string path = address.substr(5);
    if (absl::StartsWith(path, "//")) path.erase(0, 2);
    if (::access(path.c_str(), W_OK) != 0) absl::StrAppend(&message, ": ", std::strerror(errno));
  } else if (UsesTls(options)) {
    absl::StrAppend(
        &message, " with TLS: nobody listens there, or without TLS, or its certificate is over, not signed by ",
        options.tls.ca, ", or not for ", options.tls.server_name.empty() ? "this host" : options.tls.server_name);
  } else {
    absl::StrAppend(&message, " without TLS; if it is served with TLS, a CA, a certificate and a key are needed");
  }
  return message;
}

// Nobody here cancels a unary call: CANCELLED comes from a daemon that stops.
bool NoAnswer(const absl::Status& status) {
  return ReasonOf(status).empty() &&
         (absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status));
}

// The cache's state alone refused this copy, so it says nothing about an earlier one.
bool SettlesNothing(const std::string& reason) {
  return reason == "OVERLOADED" || reason == "SHUTTING_DOWN" || reason == "INCARNATION_CHANGED" ||
         reason == "CACHE_NOT_OPEN" || reason == "CACHE_FAILED" || reason == "NEEDS_CHECK" || reason == "READ_ONLY" ||
         reason == "OPERATION_PENDING";
}

bool MayPass(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return NoAnswer(status) || reason == "OVERLOADED" || reason == "SHUTTING_DOWN";
}

}  // namespace

Connection::Connection(ClientOptions options)
    : options_(std::move(options)),
      credentials_(MakeCredentials(options_)),
      channel_(MakeChannel(options_, credentials_.ok() ? *credentials_ : nullptr)) {}

absl::Status Connection::Connect() const {
  if (!credentials_.ok()) return credentials_.status();
  const auto deadline = std::chrono::system_clock::now() + options_.connect_timeout;
  bool tried = false;  // A failure from before this call is no answer to it.
  while (true) {
    const grpc_connectivity_state state = channel_->GetState(/*try_to_connect=*/true);
    if (state == GRPC_CHANNEL_READY) return absl::OkStatus();
    if (state == GRPC_CHANNEL_CONNECTING) tried = true;
    const bool failed = state == GRPC_CHANNEL_SHUTDOWN || (state == GRPC_CHANNEL_TRANSIENT_FAILURE && tried);
    if (failed || !channel_->WaitForStateChange(state, deadline)) {
      return NeverSentError(ConnectMessage(options_));
    }
    tried = true;
  }
}

absl::Status Connection::Attempt(const CallRules& rules,
                                 absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) const {
  if (absl::Status status = Connect(); !status.ok()) return status;
  grpc::ClientContext context;
  if (rules.timeout != kNoDeadline) context.set_deadline(std::chrono::system_clock::now() + rules.timeout);
  return FromGrpc(attempt(context));
}

absl::Status Connection::Final(const absl::Status& status, bool unanswered) const {
  if (unanswered && (NeverSent(status) || SettlesNothing(ReasonOf(status)))) return WithEarlierCopy(status);
  if (!NoAnswer(status) || NeverSent(status)) return status;
  return WithMessage(status, absl::StrCat("no answer from ", options_.address, ": ", status.message()));
}

absl::Status Connection::Call(const CallRules& rules,
                              absl::FunctionRef<grpc::Status(grpc::ClientContext&)> attempt) const {
  const Clock::time_point end = Clock::now() + rules.repeat_for;
  milliseconds pause = options_.first_pause;
  int overloaded = 0;
  bool unanswered = false;  // A copy was sent and got no answer.
  while (true) {
    const absl::Status status = Attempt(rules, attempt);
    const std::string reason = ReasonOf(status);
    if (NoAnswer(status) && !NeverSent(status)) {
      if (rules.repeatable == Repeatable::kNo) return Final(status, /*unanswered=*/true);
      unanswered = true;
    }
    const bool overload_again = reason == "OVERLOADED" && overloaded++ < options_.overloaded_retries;
    const bool again = unanswered ? MayPass(status) : overload_again;
    if (!again || Clock::now() + pause > end) return Final(status, unanswered);
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, kLongestPause);
  }
}

}  // namespace dmcached::client
