// Who may do what: every rpc asks here before it does anything.
//
// A caller without a certificate (unix socket, or loopback when that is allowed) has the role of the configuration's
// `unix_role`, for every cache: the socket's mode decides who gets there.  A caller with a certificate has the highest
// role that one of its identities was given for the cache; who was given none may do nothing.
#ifndef DMCACHED_SERVER_AUTHORIZATION_H_
#define DMCACHED_SERVER_AUTHORIZATION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "server/access_rules.h"
#include "server/allowed_paths.h"
#include "server/caller.h"
#include "server/calls_in_flight.h"
#include "server/config.h"
#include "server/configured_paths.h"
#include "server/log.h"
#include "server/metric_families.h"

namespace dmcached {

class Authorization {  // Thread-safe.
 public:
  // `calls_in_flight` and `log` outlive it.
  Authorization(const Config& config, const CallsInFlight& calls_in_flight, const Log& log);

  // Whether the caller of `context` may have `request` done.  `stream_cache`: the cache of a Mutate stream, whose later
  // messages name none.  May read links of the file system, for requests with paths. Errors: kPermissionDenied
  // (ROLE_TOO_LOW, PATH_NOT_ALLOWED), logged and counted; kUnavailable (OVERLOADED): the caller has as many calls in
  // flight as it may.
  absl::Status Check(const grpc::ServerContextBase& context, const google::protobuf::Message& request,
                     const std::string& stream_cache = "") const;
  // The same for who knows the caller.
  absl::Status Check(const Caller& caller, const google::protobuf::Message& request,
                     const std::string& stream_cache = "") const;

  // Check for rpcs that may name paths: these are followed on `follower`, because a mount that hangs would keep gRPC's
  // threads, and with them everybody.  Calls `then` once: before it returns if there is nothing to follow, else from a
  // task of `follower`, which must not outlive this.  Errors: also kUnavailable (OVERLOADED): too many wait there.
  void CheckOn(Executor& follower, const Caller& caller, const google::protobuf::Message& request,
               absl::AnyInvocable<void(const absl::Status&) &&> then) const;

  // The part of Check that a stream asks for before its first message.  Errors: kUnavailable (OVERLOADED).
  absl::Status CheckCallsInFlight(const Caller& caller) const;

  // Whether the caller may see that cache, for lists of all of them.
  bool MaySee(const grpc::ServerContextBase& context, const std::string& cache) const;

  // One line in the log about a mutation that has ended: who, what, and how.  Of callers without a certificate only if
  // the configuration asks for it: theirs may be a hundred thousand a second.
  void Audit(const Caller& caller, const google::protobuf::Message& request, const std::string& request_id,
             const absl::Status& result, const std::string& stream_cache = "") const;
  // The same where the context is still there: gRPC drops it when the call has ended.
  void Audit(const grpc::ServerContextBase& context, const google::protobuf::Message& request,
             const std::string& request_id, const absl::Status& result) const;

  void AddTo(MetricFamilies& families) const;

 private:
  // For an empty `cache`: the highest for any.
  Role RoleFor(const Caller& caller, const std::string& cache) const;
  absl::Status CheckRole(const Caller& caller, const Demand& demand) const;
  bool MayNameAnyPath(const Caller& caller) const;
  absl::Status CheckPaths(const Caller& caller, const Demand& demand) const;
  absl::Status Deny(const Caller& caller, const Demand& demand, absl::Status why) const;

  const AccessRules rules_;
  const Role unix_role_;
  const bool everyone_may_do_all_;  // Nobody with a certificate, nothing to look up.
  const bool audit_unix_;
  const std::vector<RoleConfig> roles_;
  const ConfiguredPaths configured_paths_;
  const std::optional<AllowedPaths> allowed_paths_;
  const CallsInFlight& calls_in_flight_;
  const Log& log_;

  mutable Mutex mutex_;
  // By the role that was needed and the method.
  mutable std::map<std::pair<Role, std::string>, uint64_t> denied_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_AUTHORIZATION_H_
