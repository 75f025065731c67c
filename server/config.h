// What the daemon is told: defaults, then one JSON file, then flags.
#ifndef DMCACHED_SERVER_CONFIG_H_
#define DMCACHED_SERVER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/cache/cache_info.h"
#include "server/role.h"

namespace dmcached {

// A cache that is opened at start.
struct CacheConfig {
  std::string name;
  std::string metadata;  // Absolute, like the other paths.
  std::string fast;      // Empty: none.
  std::string origin;    // Empty: none.
  bool read_only = false;
  DirtyTracking dirty_tracking = DirtyTracking::kExact;
};

// PEM files.  All are read again when they change.
struct TlsConfig {
  std::string certificate;  // Of the daemon, with the chain up to its root.
  std::string key;
  std::string client_ca;  // Who signs the certificates of callers.
};

// What the callers with one identity may do.
struct RoleConfig {
  std::string identity;  // A URI or DNS name of the caller's certificate, or its common name if it has neither.
  Role role = Role::kNone;
  std::vector<std::string> caches = {"*"};  // Globs of cache names.
};

// What callers may use up.
struct Limits {
  uint64_t connections = 4096;              // 1 to 1000000: over HOST:PORT; more wait until one ends.
  uint64_t streams_per_connection = 10000;  // 1 to 1000000: calls at a time; more wait at the client.
  uint64_t calls_per_identity = 1000;       // 1 to 1000000: of a caller with a certificate; more are refused.
  uint64_t handshake_timeout_ms = 10000;    // 1 to 120000: then a connection that says nothing is closed.
};

struct Config {
  // HOST:PORT takes only callers with a certificate if there is `tls`.
  std::vector<std::string> listen = {"unix:/run/dmcached/dmcached.sock"};
  uint32_t socket_mode = 0660;  // Of unix sockets.
  std::string socket_group;     // Empty: the process's own.
  std::optional<TlsConfig> tls;
  bool insecure_loopback = false;
  Role unix_role = Role::kAdmin;  // Of callers on a unix socket and, with insecure_loopback, on the loopback.
  std::vector<RoleConfig> roles;  // Of callers with a certificate; whoever is not named may do nothing.
  // Globs of paths that a request may name.  Absent: a caller with a certificate may name what `caches` names, others
  // anything.
  std::optional<std::vector<std::string>> allowed_paths;
  Limits limits;
  bool audit_unix = false;                  // Log every mutation also of callers without a certificate.
  std::string metrics;                      // HOST:PORT; empty: none.
  uint64_t commit_interval_ms = 1000;       // 1 to 3600000.
  uint64_t max_reservation_ttl_ms = 60000;  // 1 to 3600000.
  uint64_t recover_interval_ms = 10000;     // 0 to 300000; 0: only by request.
  uint64_t block_cache_bytes = 64u << 20;   // 1 MiB to 1 TiB, per cache.
  std::vector<CacheConfig> caches;
};

// `text` is a JSON object with the keys of Config.  Keys that are there replace what `config` has.  `file` is for
// messages. Errors: kInvalidArgument (INVALID_REQUEST) with the file and the line and column (syntax) or the path of
// the key.
absl::Status ParseConfig(const std::string& file, const std::string& text, Config& config);
// The same from a file.  Errors: also kNotFound (DEVICE_NOT_FOUND) and kInternal (IO_ERROR) when it cannot be read.
absl::Status ReadConfigFile(const std::string& file, Config& config);

// What holds for the whole, wherever it came from: ranges, addresses, loopback rule, names, duplicates.
// Errors: kInvalidArgument (INVALID_REQUEST), naming the key.
absl::Status CheckConfig(const Config& config);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CONFIG_H_
