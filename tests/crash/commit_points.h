// Which commit points a power cut may leave, from what was begun and what was acknowledged.
#ifndef DMCACHED_TESTS_CRASH_COMMIT_POINTS_H_
#define DMCACHED_TESTS_CRASH_COMMIT_POINTS_H_

#include <cstdint>
#include <map>
#include <vector>

#include "tests/crash/recorded_history.h"
#include "tests/support/cache_contents.h"

namespace dmcached {

class CommitPoints {
 public:
  // A point that may be found from now on; its contents may be filled in later.
  size_t Add(CacheContents contents = {});
  // Nothing but these may be found from now on.
  void Settle(const PointSet& points) { allowed_ = points; }
  const PointSet& allowed() const { return allowed_; }
  CacheContents& at(size_t point) { return points_[point]; }
  const std::vector<CacheContents>& all() const { return points_; }
  std::vector<CacheContents> Take() { return std::move(points_); }

  // --- Of one incarnation, whose transactions count up ---

  // Everything that could be found before is the state of `transaction` now.
  void BeginIncarnation(uint64_t transaction, size_t point);
  // Block 0 of `transaction` is being written.  `clean`: with CLEAN_SHUTDOWN.
  void Begun(uint64_t transaction, bool clean);
  // Somebody was told that `transaction` is durable.
  void Durable(uint64_t transaction);
  struct Unfilled {
    size_t point;
    bool clean;
  };
  // Transactions whose contents nobody filled in yet.
  std::map<uint64_t, Unfilled>& unfilled() { return unfilled_; }

 private:
  std::vector<CacheContents> points_;
  PointSet allowed_;
  std::map<size_t, uint64_t> transaction_of_;  // Of this incarnation.
  std::map<uint64_t, Unfilled> unfilled_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_COMMIT_POINTS_H_
