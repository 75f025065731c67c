// Commits of random marks one after the other, and the least that their bytes could cost.
#ifndef DMCACHED_TESTS_BENCH_COMMITTER_H_
#define DMCACHED_TESTS_BENCH_COMMITTER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "core/base/aligned_buffer.h"
#include "server/executor.h"
#include "tests/bench/loaded_cache.h"
#include "tests/bench/run.h"

namespace dmcached::bench {

class Committer {  // Not thread-safe.
 public:
  static constexpr size_t kMarks = 1000;  // A commit.

  // Of a cache with every block mapped, on a new file of `device_bytes`.
  Committer(Run& run, uint32_t version, uint32_t cblocks, uint64_t device_bytes, uint64_t block_cache_bytes);

  // The seconds of one commit; `bytes` is about it.
  double Commit();
  uint64_t bytes() const { return bytes_; }
  // Of every commit so far, the seconds in which the cache's mutex is held.
  const std::vector<double>& exclusive() const { return exclusive_; }
  LoadedCache& cache() { return cache_; }
  BlockDevice& device() { return *device_; }

 private:
  std::span<const uint32_t> Next();

  const std::shared_ptr<BlockDevice> device_;
  LoadedCache cache_;
  std::vector<uint32_t> order_;
  size_t used_ = 0;
  uint64_t bytes_ = 0;
  std::vector<double> exclusive_;
  std::atomic<bool> never_{false};
  ThreadPool helper_{"committer", 1, 16};  // As an engine has one for its large commits.
};

// Writes as many bytes contiguously, in the same mode and with the same two flushes.
class ContiguousWriter {  // Not thread-safe.
 public:
  ContiguousWriter(Run& run, uint64_t device_bytes);

  // The seconds for `bytes`, the last block after a flush; somewhere else each time, as new blocks are.
  double Write(uint64_t bytes);
  // The same, but the last block of the one before is written first, and one flush serves both.
  double WriteUnderOneFlush(uint64_t bytes);

 private:
  uint64_t RandomOffset();

  const std::shared_ptr<BlockDevice> device_;
  AlignedBuffer bytes_;
  std::mt19937_64 random_{2};
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_COMMITTER_H_
