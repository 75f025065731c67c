// Whether a commit that callers wait for begins at once, or a moment later because others are expected.
//
// Callers who wait for what they sent come back together when a commit ends, each with the next request.  If the first
// of them starts the next commit alone, the others wait for the one after: every commit then carries half of them, and
// each waits for two.  So the callers of the last commit are given a moment, a part of what a commit takes.
#ifndef DMCACHED_CORE_CACHE_COMMIT_COMPANY_H_
#define DMCACHED_CORE_CACHE_COMMIT_COMPANY_H_

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "core/base/clock.h"

namespace dmcached {

class CommitCompany {  // Not thread-safe.
 public:
  // A commit that took `took` has ended at `now`: it answered `answered` callers, `waiting` others wait for the next.
  void Ended(Duration now, Duration took, size_t answered, size_t waiting) {
    const Duration pause = std::min<Duration>(took / kPartOfACommit, kMost);
    // To come back takes two wake-ups of threads.
    expected_ = pause < kLeast ? 0 : answered + waiting;
    until_ = now + pause;
  }
  // How long a commit that `waiting` callers wait for is put off; 0: it begins.
  Duration Pause(Duration now, size_t waiting) const {
    if (waiting >= expected_ || now >= until_) return Duration{0};
    return until_ - now;
  }

 private:
  static constexpr int kPartOfACommit = 4;
  static constexpr Duration kLeast = std::chrono::microseconds(30);
  static constexpr Duration kMost = std::chrono::microseconds(500);

  size_t expected_ = 0;
  Duration until_{0};
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_COMMIT_COMPANY_H_
