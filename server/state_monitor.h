// Watches the states of the caches: tells the health service, and logs every change.
#ifndef DMCACHED_SERVER_STATE_MONITOR_H_
#define DMCACHED_SERVER_STATE_MONITOR_H_

#include <map>
#include <string>

#include "core/cache/engine.h"
#include "server/health.h"
#include "server/log.h"

namespace dmcached {

// As METRICS.md spells them, for example "read_only".
const char* StateName(CacheState state);

class StateMonitor {  // Not thread-safe: belongs to the ticker, or to whoever calls it before there is one.
 public:
  // All outlive the monitor.
  StateMonitor(const Engine& engine, HealthService& health, const Log& log)
      : engine_(engine), health_(health), log_(log) {}

  // Looks once.  Takes no lock that a writer holds over work, except to fetch the error of a cache that just failed.
  void Look();

 private:
  void LogChange(const std::string& cache, CacheState state);

  const Engine& engine_;
  HealthService& health_;
  const Log& log_;
  std::map<std::string, CacheState> states_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_STATE_MONITOR_H_
