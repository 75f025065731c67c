// A history as the device saw it, with what may be found after a power cut at each of its writes and flushes.
#ifndef DMCACHED_TESTS_CRASH_RECORDED_HISTORY_H_
#define DMCACHED_TESTS_CRASH_RECORDED_HISTORY_H_

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/cache/mutation.h"
#include "tests/crash/recording_device.h"
#include "tests/support/cache_contents.h"
#include "tests/support/gap.h"

namespace dmcached {

// Cblocks whose dirty mark was acknowledged and for which no clear or removal was sent since.
using MarkedCblocks = std::set<uint32_t>;
// Numbers of commit points.
using PointSet = std::set<size_t>;

struct Boundary {
  IoEvent event;
  // What a power cut after this event and before the next one may leave; empty: nothing is promised yet (formatting).
  PointSet allowed;
  std::shared_ptr<const MarkedCblocks> marked;
};

struct HistoryNumbers {
  uint64_t requests = 0;
  uint64_t applied = 0;
  std::array<uint64_t, std::variant_size_v<Mutation>> applied_of_kind{};  // In the order of Mutation.
  uint64_t acknowledged_durable = 0;
  uint64_t commits = 0;
  uint64_t opens = 0;
  uint64_t adoptions = 0;
  uint64_t kills = 0;
  uint64_t power_cuts = 0;
  uint64_t failed_operations = 0;
  uint64_t snapshots = 0;
  uint64_t snapshots_read = 0;
  uint64_t pressure_commits = 0;
  uint64_t clean_closes = 0;

  HistoryNumbers& operator+=(const HistoryNumbers& other);
  std::string ToText() const;
  // What did not happen once although histories are there for it; empty: nothing.
  std::string Missing() const;
};

struct RecordedHistory {
  std::vector<std::byte> initial;
  Gap gap;
  std::vector<Boundary> boundaries;
  std::vector<CacheContents> points;  // As on the medium.
  HistoryNumbers numbers;
  std::string failure;  // What was wrong before any power was cut; empty: nothing.
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_RECORDED_HISTORY_H_
