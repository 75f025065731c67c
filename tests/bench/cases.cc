#include "tests/bench/cases.h"

namespace dmcached::bench {

const std::vector<Case>& Cases() {
  static const std::vector<Case> all = {
      {"durable-marks", "random dirty marks with synchronous commits, beside LMDB and RocksDB", DurableMarks},
      {"commit-latency", "a commit beside the same bytes written contiguously", CommitLatency},
      {"apply-cost", "processor time of one item of a batch", ApplyCost},
      {"origin-lookup", "look-ups by origin block, one a call", OriginLookup},
      {"open", "a cold open beside a bare read of the metadata", OpenTime},
      {"memory", "resident memory of an open cache, and the peak while it opens", MemoryUse},
      {"check", "the offline check beside cache_check; a list through a snapshot", CheckSpeed},
      {"operations", "operations on cblocks in order: processor time and bytes", Operations},
      {"growth", "a large cache beside a small one, under the same block cache", Growth},
      {"mutate-stream", "batches of inserts over gRPC beside parsing and acknowledging them", MutateSpeed},
      {"unary-lookup", "a look-up over gRPC beside an empty unary call", UnaryLookup},
      {"callers", "1 to 64 callers of one item each", Callers},
      {"lookup-latency", "look-ups while commits run without pause", LookupLatency},
  };
  return all;
}

}  // namespace dmcached::bench
