#include "server/system_clock.h"

#include <chrono>

namespace dmcached {

Duration SystemClock::Monotonic() const { return std::chrono::steady_clock::now().time_since_epoch(); }

Duration SystemClock::Wall() const { return std::chrono::system_clock::now().time_since_epoch(); }

}  // namespace dmcached
