// The incarnation last seen of each cache.
#ifndef DMCACHED_CLIENT_SRC_INCARNATIONS_H_
#define DMCACHED_CLIENT_SRC_INCARNATIONS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace dmcached::client {

class Incarnations {  // Thread-safe.
 public:
  // 0 is no incarnation: the cache was never opened.
  void Learn(const std::string& cache, uint64_t incarnation) {
    if (incarnation == 0) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    known_[cache] = incarnation;
  }

  void Forget(const std::string& cache) {
    const std::lock_guard<std::mutex> lock(mutex_);
    known_.erase(cache);
  }

  std::optional<uint64_t> Known(const std::string& cache) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = known_.find(cache);
    if (found == known_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, uint64_t> known_;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_INCARNATIONS_H_
