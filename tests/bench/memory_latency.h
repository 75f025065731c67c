// What memory costs on this machine: the floor under everything that is looked up at random.
#ifndef DMCACHED_TESTS_BENCH_MEMORY_LATENCY_H_
#define DMCACHED_TESTS_BENCH_MEMORY_LATENCY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/huge_memory.h"

namespace dmcached::bench {

// Cache lines in one random cycle, in memory like the engine's own.
class MemoryLatency {  // Not thread-safe.
 public:
  explicit MemoryLatency(size_t bytes);

  // Nanoseconds of one of `reads` reads, each of which must wait for the one before.
  double Dependent(size_t reads);
  // The same for reads that need not wait for each other.
  double Independent(size_t reads);

 private:
  static constexpr size_t kLineBytes = 64;

  uint32_t& Line(size_t i);

  size_t lines_;
  HugeMemory memory_;
  size_t at_ = 0;
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_MEMORY_LATENCY_H_
