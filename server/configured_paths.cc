#include "server/configured_paths.h"

#include <utility>

namespace dmcached {

ConfiguredPaths::ConfiguredPaths(const std::vector<CacheConfig>& caches) {
  for (const CacheConfig& cache : caches) {
    for (const std::string& path : {cache.metadata, cache.fast, cache.origin}) {
      if (!path.empty()) entries_.push_back({cache.name, path});
    }
  }
  last_ids_.resize(entries_.size());
  (void)Follow();
}

std::vector<ConfiguredPath> ConfiguredPaths::Follow() const {
  std::vector<ConfiguredPath> paths;
  for (const Entry& entry : entries_) {
    paths.push_back({entry.cache, FollowPath(entry.path).value_or(PathTarget{.name = entry.path})});
  }
  MutexLock lock(mutex_);
  for (size_t i = 0; i < paths.size(); ++i) {
    std::optional<FileId>& id = paths[i].target.id;
    if (id.has_value()) {
      last_ids_[i] = id;
    } else {
      id = last_ids_[i];
    }
  }
  return paths;
}

}  // namespace dmcached
