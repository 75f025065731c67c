// The only source of time for the engine.
#ifndef DMCACHED_CORE_BASE_CLOCK_H_
#define DMCACHED_CORE_BASE_CLOCK_H_

#include <chrono>

namespace dmcached {

using Duration = std::chrono::nanoseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back; its zero means nothing.  Thread-safe.
  virtual Duration Monotonic() const = 0;
  // Since the Unix epoch.  Thread-safe.
  virtual Duration Wall() const = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_CLOCK_H_
