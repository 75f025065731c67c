// What the caches of one engine share.
#ifndef DMCACHED_CORE_CACHE_CACHE_ENVIRONMENT_H_
#define DMCACHED_CORE_CACHE_CACHE_ENVIRONMENT_H_

#include <cstdint>
#include <functional>

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/cache/engine.h"
#include "core/device/device_request.h"

namespace dmcached {

// Everything outlives the caches.
struct CacheEnvironment {
  const EngineOptions& options;
  const DeviceOpener& opener;
  const Clock& clock;
  ExecutorFactory& executors;
  Executor& readers;                 // Bounded; runs nothing that flushes.
  Executor& commit_helper;           // One thread; writes parts of large commits for those who find it free.
  Executor& answers;                 // Unbounded; makes callbacks that are due inside a call.
  std::function<uint64_t()> random;  // Thread-safe; never 0.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_ENVIRONMENT_H_
