#include "server/state_monitor.h"

#include <utility>

#include "absl/status/statusor.h"

namespace dmcached {

const char* StateName(CacheState state) {
  switch (state) {
    case CacheState::kOpen:
      return "open";
    case CacheState::kReadOnly:
      return "read_only";
    case CacheState::kFailed:
      return "failed";
    case CacheState::kNeedsCheck:
      return "needs_check";
    case CacheState::kOpening:
      return "opening";
    case CacheState::kClosing:
      return "closing";
  }
  return "unknown";
}

void StateMonitor::Look() {
  std::map<std::string, CacheState> states;
  std::map<std::string, bool> usable;
  for (const CacheMetrics& cache : engine_.Metrics()) {
    states[cache.name] = cache.state;
    // Read-only is what somebody asked for; damage met while running is kNeedsCheck.
    usable[cache.name] = cache.state == CacheState::kOpen || cache.state == CacheState::kReadOnly;
    const auto before = states_.find(cache.name);
    if (before == states_.end() || before->second != cache.state) LogChange(cache.name, cache.state);
  }
  if (states == states_) return;
  health_.SetCaches(usable);
  states_ = std::move(states);
}

void StateMonitor::LogChange(const std::string& cache, CacheState state) {
  if (state != CacheState::kFailed && state != CacheState::kNeedsCheck) {
    log_.Info("cache_state", {{"cache", cache}, {"state", StateName(state)}});
    return;
  }
  const absl::StatusOr<CacheInfo> info = engine_.Get(cache);
  log_.Error("cache_state",
             {{"cache", cache}, {"state", StateName(state)}, {"error", info.ok() ? info->last_error : std::string()}});
}

}  // namespace dmcached
