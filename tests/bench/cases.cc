#include "tests/bench/cases.h"

namespace dmcached::bench {

const std::vector<Case>& Cases() {
  static const std::vector<Case> all = {
      {"durable-marks", "random dirty marks with synchronous commits, beside LMDB and RocksDB", DurableMarks},
      {"commit-latency", "a commit beside the same bytes written contiguously", CommitLatency},
      {"apply-cost", "processor time of one item of a batch", ApplyCost},
  };
  return all;
}

}  // namespace dmcached::bench
