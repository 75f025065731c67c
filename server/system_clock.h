// The machine's clocks.
#ifndef DMCACHED_SERVER_SYSTEM_CLOCK_H_
#define DMCACHED_SERVER_SYSTEM_CLOCK_H_

#include "core/base/clock.h"

namespace dmcached {

class SystemClock : public Clock {
 public:
  Duration Monotonic() const override;
  Duration Wall() const override;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_SYSTEM_CLOCK_H_
