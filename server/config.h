// What the daemon is told: defaults, then one JSON file, then flags.
#ifndef DMCACHED_SERVER_CONFIG_H_
#define DMCACHED_SERVER_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/cache/cache_info.h"

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

struct Config {
  std::vector<std::string> listen = {"unix:/run/dmcached/dmcached.sock"};
  bool insecure_loopback = false;
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
