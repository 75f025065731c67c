// A clock that stands still until a test moves it.
#ifndef DMCACHED_TESTS_SUPPORT_MANUAL_CLOCK_H_
#define DMCACHED_TESTS_SUPPORT_MANUAL_CLOCK_H_

#include <atomic>

#include "core/base/clock.h"

namespace dmcached {

class ManualClock : public Clock {  // Thread-safe.
 public:
  Duration Monotonic() const override { return Duration(now_ns_.load()); }
  Duration Wall() const override { return kWallAtStart + Monotonic(); }

  void Advance(Duration by) { now_ns_.fetch_add(by.count()); }

 private:
  static constexpr Duration kWallAtStart = std::chrono::hours(24 * 365 * 50);
  std::atomic<Duration::rep> now_ns_{0};
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_MANUAL_CLOCK_H_
