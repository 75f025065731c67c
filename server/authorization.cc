#include "server/authorization.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "server/status_util.h"

namespace dmcached {
namespace {

std::string Text(Role role) { return std::string(RoleName(role)); }

// For a message of a stream also what it carries: "Mutate/InsertMappings".
std::string RpcOf(const Demand& demand) {
  return demand.carried.empty() ? demand.method : absl::StrCat(demand.method, "/", demand.carried);
}

std::optional<AllowedPaths> ToAllowedPaths(const Config& config) {
  if (!config.allowed_paths.has_value()) return std::nullopt;
  return std::optional<AllowedPaths>(std::in_place, *config.allowed_paths);
}

}  // namespace

Authorization::Authorization(const Config& config, const CallsInFlight& calls_in_flight, const Log& log)
    : unix_role_(config.unix_role),
      everyone_may_do_all_(!config.tls.has_value() && config.unix_role == Role::kAdmin &&
                           !config.allowed_paths.has_value()),
      audit_unix_(config.audit_unix),
      roles_(config.roles),
      configured_paths_(config.caches),
      allowed_paths_(ToAllowedPaths(config)),
      calls_in_flight_(calls_in_flight),
      log_(log) {}

Role Authorization::RoleFor(const Caller& caller, const std::string& cache) const {
  if (!caller.has_certificate) return unix_role_;
  Role highest = Role::kNone;
  for (const RoleConfig& role : roles_) {
    if (std::find(caller.identities.begin(), caller.identities.end(), role.identity) == caller.identities.end()) {
      continue;
    }
    if (cache.empty() || FitsAny(role.caches, cache)) highest = std::max(highest, role.role);
  }
  return highest;
}

absl::Status Authorization::Check(const grpc::ServerContextBase& context, const google::protobuf::Message& request,
                                  const std::string& stream_cache) const {
  return everyone_may_do_all_ ? absl::OkStatus() : Check(CallerOf(context), request, stream_cache);
}

absl::Status Authorization::Check(const Caller& caller, const google::protobuf::Message& request,
                                  const std::string& stream_cache) const {
  if (everyone_may_do_all_) return absl::OkStatus();
  Demand demand = rules_.DemandOf(request);
  if (!stream_cache.empty()) demand.cache = stream_cache;
  DMCACHED_RETURN_IF_ERROR(CheckRole(caller, demand));
  // A stream that goes on counts already.
  if (stream_cache.empty()) DMCACHED_RETURN_IF_ERROR(CheckCallsInFlight(caller));
  return CheckPaths(caller, demand);
}

void Authorization::CheckOn(Executor& follower, const Caller& caller, const google::protobuf::Message& request,
                            absl::AnyInvocable<void(const absl::Status&) &&> then) const {
  if (everyone_may_do_all_) return std::move(then)(absl::OkStatus());
  Demand demand = rules_.DemandOf(request);
  absl::Status allowed = CheckRole(caller, demand);
  if (allowed.ok()) allowed = CheckCallsInFlight(caller);
  if (!allowed.ok() || demand.paths.empty() || MayNameAnyPath(caller)) return std::move(then)(allowed);
  // An executor that is full drops its task.
  const auto shared = std::make_shared<decltype(then)>(std::move(then));
  const bool taken = follower.Schedule([this, caller, demand = std::move(demand), shared] {
    std::move (*shared)(StopExceptions([&] { return CheckPaths(caller, demand); }));
  });
  if (!taken) {
    std::move (*shared)(MakeError(Reason::kOverloaded, "too many requests wait for their paths to be followed"));
  }
}

absl::Status Authorization::CheckRole(const Caller& caller, const Demand& demand) const {
  const Role role = RoleFor(caller, demand.cache);
  if (role >= demand.role) return absl::OkStatus();
  const std::string where = demand.cache.empty() ? "" : absl::StrCat(" for cache \"", demand.cache, "\"");
  return Deny(caller, demand,
              MakeError(Reason::kRoleTooLow, absl::StrCat(caller.name, " has the role ", Text(role), where, "; ",
                                                          demand.method, " as asked needs ", Text(demand.role))));
}

absl::Status Authorization::CheckCallsInFlight(const Caller& caller) const {
  if (!caller.has_certificate || !calls_in_flight_.HasTooMany(caller.name)) return absl::OkStatus();
  return MakeError(Reason::kOverloaded, absl::StrCat(caller.name, " has more than ", calls_in_flight_.limit(),
                                                     " calls in flight; see limits.calls_per_identity"));
}

bool Authorization::MayNameAnyPath(const Caller& caller) const {
  return !allowed_paths_.has_value() && !caller.has_certificate;
}

absl::Status Authorization::CheckPaths(const Caller& caller, const Demand& demand) const {
  if (demand.paths.empty() || MayNameAnyPath(caller)) return absl::OkStatus();
  // What the configuration itself names is open to those who have the role for that cache, and to nobody else.
  std::vector<PathTarget> granted;
  std::vector<PathTarget> withheld;
  for (ConfiguredPath& path : configured_paths_.Follow()) {
    (RoleFor(caller, path.cache) >= demand.role ? granted : withheld).push_back(std::move(path.target));
  }
  for (const std::string& path : demand.paths) {
    if (const std::optional<PathTarget> target = FollowPath(path); target.has_value()) {
      if (IsAnyByName(*target, granted)) continue;
      if (allowed_paths_.has_value() && allowed_paths_->Allows(*target) && !IsAny(*target, withheld)) continue;
    }
    return Deny(
        caller, demand,
        MakeError(Reason::kPathNotAllowed, absl::StrCat(path, " is not, or does not lead to, a path that ", caller.name,
                                                        " may name; see allowed_paths in the daemon's configuration")));
  }
  return absl::OkStatus();
}

bool Authorization::MaySee(const grpc::ServerContextBase& context, const std::string& cache) const {
  return everyone_may_do_all_ || RoleFor(CallerOf(context), cache) >= Role::kReader;
}

absl::Status Authorization::Deny(const Caller& caller, const Demand& demand, absl::Status why) const {
  {
    MutexLock lock(mutex_);
    ++denied_[{demand.role, demand.method}];
  }
  log_.Warning("denied",
               {{"caller", caller.name}, {"rpc", RpcOf(demand)}, {"cache", demand.cache}, {"error", ErrorText(why)}});
  return why;
}

void Authorization::Audit(const grpc::ServerContextBase& context, const google::protobuf::Message& request,
                          const std::string& request_id, const absl::Status& result) const {
  if (everyone_may_do_all_ && !audit_unix_) return;
  Audit(CallerOf(context), request, request_id, result);
}

void Authorization::Audit(const Caller& caller, const google::protobuf::Message& request, const std::string& request_id,
                          const absl::Status& result, const std::string& stream_cache) const {
  if (!caller.has_certificate && !audit_unix_) return;
  const Demand demand = rules_.DemandOf(request);
  log_.Info("mutation", {{"caller", caller.name},
                         {"rpc", RpcOf(demand)},
                         {"cache", stream_cache.empty() ? demand.cache : stream_cache},
                         {"request_id", request_id},
                         {"result", result.ok() ? "ok" : ErrorText(result)}});
}

void Authorization::AddTo(MetricFamilies& families) const {
  MutexLock lock(mutex_);
  for (const auto& [key, count] : denied_) {
    families.Counter("dmcached_authorization_denied_total", "Calls refused, by the role that they needed.",
                     {{"role", Text(key.first)}, {"grpc_method", key.second}}, static_cast<double>(count));
  }
}

}  // namespace dmcached
