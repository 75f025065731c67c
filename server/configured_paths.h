// The paths that the configuration itself names: the devices of its caches.
#ifndef DMCACHED_SERVER_CONFIGURED_PATHS_H_
#define DMCACHED_SERVER_CONFIGURED_PATHS_H_

#include <optional>
#include <string>
#include <vector>

#include "core/base/mutex.h"
#include "server/config.h"
#include "server/path_target.h"

namespace dmcached {

struct ConfiguredPath {
  std::string cache;
  PathTarget target;
};

class ConfiguredPaths {  // Thread-safe.
 public:
  // Looks at once, so that it is known where they led when the daemon was started.
  explicit ConfiguredPaths(const std::vector<CacheConfig>& caches);

  // Where each leads now.  One that leads nowhere at the moment (its link is being made anew, its folder cannot be
  // read) is named as it is written, and still has the `id` of where it last led: its device may be there under another
  // name. Should that number belong to something else meanwhile, this errs for as long as the path leads nowhere; so an
  // `id` may withhold something, but not grant it.  A path that has led nowhere since the start has none: then only its
  // name tells, because otherwise a cache whose volume is not there would keep everybody from everything. Reads the
  // file system, and waits if that hangs.
  std::vector<ConfiguredPath> Follow() const;

 private:
  struct Entry {
    std::string cache;
    std::string path;
  };

  std::vector<Entry> entries_;  // Constant once made.
  mutable Mutex mutex_;
  mutable std::vector<std::optional<FileId>> last_ids_ ABSL_GUARDED_BY(mutex_);  // As `entries_`.
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CONFIGURED_PATHS_H_
