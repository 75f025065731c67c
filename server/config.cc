#include "server/config.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "nlohmann/json.hpp"
#include "server/convert.h"
#include "server/listen_address.h"

namespace dmcached {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kHourMs = 3600000;
constexpr uint64_t kMaxRecoverIntervalMs = 300000;
constexpr uint64_t kMaxStreams = 1000000;
constexpr uint64_t kMaxHandshakeMs = 120000;
constexpr uint64_t kMinBlockCacheBytes = uint64_t{1} << 20;
constexpr uint64_t kMaxBlockCacheBytes = uint64_t{1} << 40;

absl::Status Invalid(absl::string_view message) { return MakeError(Reason::kInvalidRequest, message); }

// Reads one JSON object: each key is taken at most once, and Finish refuses those that nobody took.
class ObjectReader {
 public:
  // `path`: of the object, for messages; empty for the whole file.
  ObjectReader(std::string path, const Json& object) : path_(std::move(path)), object_(object) {}

  absl::Status Read(const char* key, std::string& value) { return Take(key, "a string", &Json::is_string, value); }
  absl::Status Read(const char* key, bool& value) { return Take(key, "true or false", &Json::is_boolean, value); }
  absl::Status Read(const char* key, uint64_t& value) {
    return Take(key, "a whole number that is not negative", &Json::is_number_unsigned, value);
  }

  // What is under `key`, or null.
  absl::StatusOr<const Json*> Array(const char* key) { return Find(key, "an array", &Json::is_array); }
  absl::StatusOr<const Json*> Object(const char* key) { return Find(key, "an object", &Json::is_object); }

  bool Has(const char* key) const { return object_.contains(key); }

  absl::Status Read(const char* key, std::vector<std::string>& values) {
    DMCACHED_ASSIGN_OR_RETURN(const Json* array, Array(key));
    if (array == nullptr) return absl::OkStatus();
    values.clear();
    for (const Json& value : *array) {
      if (!value.is_string()) return Invalid(absl::StrCat(PathOf(key), "[", values.size(), "] must be a string"));
      values.push_back(value.get<std::string>());
    }
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    for (const auto& item : object_.items()) {
      if (taken_.count(item.key()) == 0) return Invalid(absl::StrCat("unknown key ", PathOf(item.key())));
    }
    return absl::OkStatus();
  }

  std::string PathOf(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

 private:
  using Is = bool (Json::*)() const noexcept;

  // Null: nothing is under `key`.
  absl::StatusOr<const Json*> Find(const char* key, const char* what, Is is) {
    taken_.insert(key);
    const auto found = object_.find(key);
    if (found == object_.end()) return nullptr;
    if (!((*found).*is)()) return Invalid(absl::StrCat(PathOf(key), " must be ", what));
    return &*found;
  }

  template <typename T>
  absl::Status Take(const char* key, const char* what, Is is, T& value) {
    DMCACHED_ASSIGN_OR_RETURN(const Json* found, Find(key, what, is));
    if (found != nullptr) value = found->get<T>();
    return absl::OkStatus();
  }

  const std::string path_;
  const Json& object_;
  std::set<std::string> taken_;
};

absl::Status ReadCache(const std::string& path, const Json& value, CacheConfig& cache) {
  if (!value.is_object()) return Invalid(absl::StrCat(path, " must be an object"));
  ObjectReader reader(path, value);
  std::string tracking = "exact";
  DMCACHED_RETURN_IF_ERROR(reader.Read("name", cache.name));
  DMCACHED_RETURN_IF_ERROR(reader.Read("metadata", cache.metadata));
  DMCACHED_RETURN_IF_ERROR(reader.Read("fast", cache.fast));
  DMCACHED_RETURN_IF_ERROR(reader.Read("origin", cache.origin));
  DMCACHED_RETURN_IF_ERROR(reader.Read("read_only", cache.read_only));
  DMCACHED_RETURN_IF_ERROR(reader.Read("dirty_tracking", tracking));
  if (tracking != "exact" && tracking != "conservative") {
    return Invalid(absl::StrCat(path, ".dirty_tracking must be \"exact\" or \"conservative\", not \"", tracking, "\""));
  }
  cache.dirty_tracking = tracking == "exact" ? DirtyTracking::kExact : DirtyTracking::kConservative;
  return reader.Finish();
}

absl::Status ReadCaches(const Json& array, std::vector<CacheConfig>& caches) {
  caches.clear();
  for (const Json& value : array) {
    const std::string path = absl::StrCat("caches[", caches.size(), "]");
    DMCACHED_RETURN_IF_ERROR(ReadCache(path, value, caches.emplace_back()));
  }
  return absl::OkStatus();
}

absl::Status ReadTls(const Json& object, std::optional<TlsConfig>& tls) {
  ObjectReader reader("tls", object);
  tls.emplace();
  DMCACHED_RETURN_IF_ERROR(reader.Read("certificate", tls->certificate));
  DMCACHED_RETURN_IF_ERROR(reader.Read("key", tls->key));
  DMCACHED_RETURN_IF_ERROR(reader.Read("client_ca", tls->client_ca));
  return reader.Finish();
}

// A role under `key`; `role` stays as it is if there is none.
absl::Status ReadRole(ObjectReader& reader, const char* key, Role& role) {
  std::string name(RoleName(role));
  DMCACHED_RETURN_IF_ERROR(reader.Read(key, name));
  if (name == RoleName(role)) return absl::OkStatus();
  const std::optional<Role> parsed = ParseRole(name);
  if (!parsed.has_value()) {
    return Invalid(
        absl::StrCat(reader.PathOf(key), " must be \"reader\", \"operator\" or \"admin\", not \"", name, "\""));
  }
  role = *parsed;
  return absl::OkStatus();
}

absl::Status ReadRoles(const Json& array, std::vector<RoleConfig>& roles) {
  roles.clear();
  for (const Json& value : array) {
    const std::string path = absl::StrCat("roles[", roles.size(), "]");
    if (!value.is_object()) return Invalid(absl::StrCat(path, " must be an object"));
    ObjectReader reader(path, value);
    RoleConfig& role = roles.emplace_back();
    DMCACHED_RETURN_IF_ERROR(reader.Read("identity", role.identity));
    DMCACHED_RETURN_IF_ERROR(ReadRole(reader, "role", role.role));
    DMCACHED_RETURN_IF_ERROR(reader.Read("caches", role.caches));
    DMCACHED_RETURN_IF_ERROR(reader.Finish());
  }
  return absl::OkStatus();
}

// File permissions as chmod takes them: octal digits, because JSON has no octal numbers.
absl::Status ReadSocketMode(ObjectReader& reader, uint32_t& mode) {
  std::string text;
  DMCACHED_RETURN_IF_ERROR(reader.Read("socket_mode", text));
  if (text.empty()) return absl::OkStatus();
  const bool octal = text.size() <= 4 && text.find_first_not_of("01234567") == std::string::npos;
  const unsigned long value = octal ? std::stoul(text, nullptr, 8) : 0;
  if (!octal || value > 0777) {
    return Invalid(absl::StrCat("socket_mode must be up to 0777 in octal digits, like \"0660\", not \"", text, "\""));
  }
  mode = static_cast<uint32_t>(value);
  return absl::OkStatus();
}

absl::Status ReadLimits(const Json& object, Limits& limits) {
  ObjectReader reader("limits", object);
  DMCACHED_RETURN_IF_ERROR(reader.Read("connections", limits.connections));
  DMCACHED_RETURN_IF_ERROR(reader.Read("streams_per_connection", limits.streams_per_connection));
  DMCACHED_RETURN_IF_ERROR(reader.Read("calls_per_identity", limits.calls_per_identity));
  DMCACHED_RETURN_IF_ERROR(reader.Read("handshake_timeout_ms", limits.handshake_timeout_ms));
  return reader.Finish();
}

// The keys about who may call.
absl::Status ReadAccess(ObjectReader& reader, Config& config) {
  DMCACHED_RETURN_IF_ERROR(ReadSocketMode(reader, config.socket_mode));
  DMCACHED_RETURN_IF_ERROR(reader.Read("socket_group", config.socket_group));
  DMCACHED_ASSIGN_OR_RETURN(const Json* tls, reader.Object("tls"));
  if (tls != nullptr) DMCACHED_RETURN_IF_ERROR(ReadTls(*tls, config.tls));
  DMCACHED_RETURN_IF_ERROR(reader.Read("insecure_loopback", config.insecure_loopback));
  DMCACHED_RETURN_IF_ERROR(ReadRole(reader, "unix_role", config.unix_role));
  DMCACHED_ASSIGN_OR_RETURN(const Json* roles, reader.Array("roles"));
  if (roles != nullptr) DMCACHED_RETURN_IF_ERROR(ReadRoles(*roles, config.roles));
  DMCACHED_RETURN_IF_ERROR(reader.Read("audit_unix", config.audit_unix));
  if (reader.Has("allowed_paths")) {
    DMCACHED_RETURN_IF_ERROR(reader.Read("allowed_paths", config.allowed_paths.emplace()));
  }
  DMCACHED_ASSIGN_OR_RETURN(const Json* limits, reader.Object("limits"));
  return limits == nullptr ? absl::OkStatus() : ReadLimits(*limits, config.limits);
}

absl::Status ReadObject(const Json& root, Config& config) {
  if (!root.is_object()) return Invalid("the file must hold one JSON object");
  ObjectReader reader("", root);
  DMCACHED_RETURN_IF_ERROR(reader.Read("listen", config.listen));
  DMCACHED_RETURN_IF_ERROR(ReadAccess(reader, config));
  DMCACHED_RETURN_IF_ERROR(reader.Read("metrics", config.metrics));
  DMCACHED_RETURN_IF_ERROR(reader.Read("commit_interval_ms", config.commit_interval_ms));
  DMCACHED_RETURN_IF_ERROR(reader.Read("max_reservation_ttl_ms", config.max_reservation_ttl_ms));
  DMCACHED_RETURN_IF_ERROR(reader.Read("recover_interval_ms", config.recover_interval_ms));
  DMCACHED_RETURN_IF_ERROR(reader.Read("block_cache_bytes", config.block_cache_bytes));
  DMCACHED_ASSIGN_OR_RETURN(const Json* caches, reader.Array("caches"));
  if (caches != nullptr) DMCACHED_RETURN_IF_ERROR(ReadCaches(*caches, config.caches));
  return reader.Finish();
}

// The JSON value of `text`.  The library takes the last of two equal keys; here that is an error.
absl::StatusOr<Json> ParseJson(const std::string& text) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto watch = [&](int /*depth*/, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second &&
        duplicate.empty()) {
      duplicate = value.get<std::string>();
    }
    return true;
  };
  try {
    Json root = Json::parse(text, watch);
    if (!duplicate.empty()) return Invalid(absl::StrCat("key ", duplicate, " is given twice in one object"));
    return root;
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 3, column 5: ...", or that a number is too large.
    const std::string what = error.what();
    const size_t begin = what.find("] ");
    return Invalid(begin == std::string::npos ? what : what.substr(begin + 2));
  }
}

absl::Status CheckRange(const char* key, uint64_t value, uint64_t least, uint64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Invalid(absl::StrCat(key, " is ", value, ", allowed are ", least, " to ", most));
}

absl::Status CheckPath(const std::string& key, const std::string& path) {
  if (path.empty() || path[0] == '/') return absl::OkStatus();
  return Invalid(absl::StrCat(key, " \"", path, "\" is not an absolute path"));
}

absl::Status CheckCaches(const std::vector<CacheConfig>& caches) {
  std::set<std::string> names;
  for (size_t i = 0; i < caches.size(); ++i) {
    const CacheConfig& cache = caches[i];
    const std::string path = absl::StrCat("caches[", i, "]");
    DMCACHED_RETURN_IF_ERROR(WithContext(CheckCacheName(cache.name), path + ".name"));
    if (!names.insert(cache.name).second) {
      return Invalid(absl::StrCat(path, ".name: there are two caches named \"", cache.name, "\""));
    }
    if (cache.metadata.empty()) return Invalid(absl::StrCat(path, ".metadata is missing"));
    DMCACHED_RETURN_IF_ERROR(CheckPath(path + ".metadata", cache.metadata));
    DMCACHED_RETURN_IF_ERROR(CheckPath(path + ".fast", cache.fast));
    DMCACHED_RETURN_IF_ERROR(CheckPath(path + ".origin", cache.origin));
  }
  return absl::OkStatus();
}

absl::Status CheckListen(const Config& config) {
  if (config.listen.empty()) return Invalid("listen is empty: the daemon would serve nobody");
  std::set<std::string> seen;
  for (const std::string& text : config.listen) {
    DMCACHED_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(text));
    if (!seen.insert(address.ToString()).second && (address.is_unix() || address.port != 0)) {
      return Invalid(absl::StrCat("listen: address \"", text, "\" is given twice"));
    }
    if (address.is_unix() || config.tls.has_value()) continue;
    if (!config.insecure_loopback) {
      return Invalid(absl::StrCat("listen: \"", text, "\" would serve without TLS; only a unix socket, or a loopback ",
                                  "address with --insecure-loopback, may be used, unless the configuration has tls"));
    }
    if (!address.is_loopback()) {
      return Invalid(
          absl::StrCat("listen: \"", text, "\" is not a loopback address, and without TLS no other may be used"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTls(const TlsConfig& tls) {
  for (const auto& [key, path] : {std::pair("tls.certificate", &tls.certificate), std::pair("tls.key", &tls.key),
                                  std::pair("tls.client_ca", &tls.client_ca)}) {
    if (path->empty()) return Invalid(absl::StrCat(key, " is missing"));
    DMCACHED_RETURN_IF_ERROR(CheckPath(key, *path));
  }
  return absl::OkStatus();
}

absl::Status CheckAccess(const Config& config) {
  if (config.tls.has_value()) DMCACHED_RETURN_IF_ERROR(CheckTls(*config.tls));
  for (size_t i = 0; i < config.roles.size(); ++i) {
    const RoleConfig& role = config.roles[i];
    if (role.identity.empty()) return Invalid(absl::StrCat("roles[", i, "].identity is missing"));
    if (role.role == Role::kNone) return Invalid(absl::StrCat("roles[", i, "].role is missing"));
  }
  if (config.allowed_paths.has_value()) {
    for (const std::string& path : *config.allowed_paths) {
      if (path.empty() || path[0] != '/') {
        return Invalid(absl::StrCat("allowed_paths: \"", path, "\" is not an absolute path"));
      }
    }
  }
  DMCACHED_RETURN_IF_ERROR(CheckRange("limits.connections", config.limits.connections, 1, kMaxStreams));
  DMCACHED_RETURN_IF_ERROR(
      CheckRange("limits.streams_per_connection", config.limits.streams_per_connection, 1, kMaxStreams));
  DMCACHED_RETURN_IF_ERROR(CheckRange("limits.calls_per_identity", config.limits.calls_per_identity, 1, kMaxStreams));
  return CheckRange("limits.handshake_timeout_ms", config.limits.handshake_timeout_ms, 1, kMaxHandshakeMs);
}

}  // namespace

absl::Status ParseConfig(const std::string& file, const std::string& text, Config& config) {
  const absl::StatusOr<Json> root = ParseJson(text);
  if (!root.ok()) return WithContext(root.status(), file);
  return WithContext(ReadObject(*root, config), file);
}

absl::Status ReadConfigFile(const std::string& file, Config& config) {
  errno = 0;
  std::ifstream stream(file);
  if (!stream) {
    const int cause = errno;
    const Reason reason = cause == ENOENT ? Reason::kDeviceNotFound : Reason::kIoError;
    return MakeError(reason, absl::StrCat("cannot read the configuration ", file, ": ", std::strerror(cause)), cause);
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return ParseConfig(file, text.str(), config);
}

absl::Status CheckConfig(const Config& config) {
  DMCACHED_RETURN_IF_ERROR(CheckListen(config));
  DMCACHED_RETURN_IF_ERROR(CheckAccess(config));
  if (!config.metrics.empty()) {
    DMCACHED_RETURN_IF_ERROR(WithContext(ParseHostPort(config.metrics).status(), "metrics"));
  }
  DMCACHED_RETURN_IF_ERROR(CheckRange("commit_interval_ms", config.commit_interval_ms, 1, kHourMs));
  DMCACHED_RETURN_IF_ERROR(CheckRange("max_reservation_ttl_ms", config.max_reservation_ttl_ms, 1, kHourMs));
  DMCACHED_RETURN_IF_ERROR(CheckRange("recover_interval_ms", config.recover_interval_ms, 0, kMaxRecoverIntervalMs));
  DMCACHED_RETURN_IF_ERROR(
      CheckRange("block_cache_bytes", config.block_cache_bytes, kMinBlockCacheBytes, kMaxBlockCacheBytes));
  return CheckCaches(config.caches);
}

}  // namespace dmcached
