// Cuts the power at every write and flush of a recorded history, in several ways each, and judges what is left.
#ifndef DMCACHED_TESTS_CRASH_CRASH_SWEEP_H_
#define DMCACHED_TESTS_CRASH_CRASH_SWEEP_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "core/base/mutex.h"
#include "core/cache/cache_info.h"
#include "tests/crash/crash_medium.h"
#include "tests/crash/recorded_history.h"
#include "tests/support/random.h"

namespace dmcached {

// Hashes of images, of all sweeps together.
class DistinctImages {  // Thread-safe.
 public:
  // False: it was there before.
  bool Add(uint64_t hash);
  size_t count() const;

 private:
  mutable Mutex mutex_;
  absl::flat_hash_set<uint64_t> hashes_ ABSL_GUARDED_BY(mutex_);
};

struct SweepNumbers {
  uint64_t boundaries = 0;
  uint64_t images = 0;       // Made; many are the same as an earlier one.
  uint64_t judged = 0;       // Distinct ones.
  uint64_t second_cuts = 0;  // Distinct ones, of a power cut while an image was opened and used again.

  SweepNumbers& operator+=(const SweepNumbers& other);
};

struct SweepOptions {
  uint64_t seed = 0;
  uint64_t random_images = 3;        // At a boundary, beside the systematic ones.
  uint64_t second_cut_one_in = 100;  // So many judged images per one that is opened and cut again.
};

class CrashSweep {  // Not thread-safe.
 public:
  CrashSweep(const RecordedHistory& history, const SweepOptions& options, DistinctImages& distinct)
      : history_(history), options_(options), distinct_(distinct), random_(options.seed) {}

  // Returns what is wrong with the first image that is not as it should be; empty: none.
  std::string Run();
  const SweepNumbers& numbers() const { return numbers_; }

 private:
  using Survives = std::function<bool(size_t write, size_t sector)>;

  // Judges every image of the medium as it is; `is_new`: the last pending write has just been made.
  std::string CutHere(CrashMedium& medium, const Boundary& boundary, bool is_new);
  std::string Judge(CrashMedium& medium, const Survives& survives, const Boundary& boundary);
  std::string CutAgain(const std::vector<std::byte>& image, size_t point, DirtyTracking tracking,
                       const MarkedCblocks& marked, uint64_t seed);

  const RecordedHistory& history_;
  const SweepOptions options_;
  DistinctImages& distinct_;
  Random random_;
  SweepNumbers numbers_;
  bool second_ = false;  // Inside CutAgain.
};

// Opens `image`, which is of `medium`, uses it a little, and records it: a history to be swept.
RecordedHistory RecordReopen(std::span<const std::byte> image, const Gap& gap, const CacheContents& medium,
                             DirtyTracking tracking, const MarkedCblocks& marked, uint64_t seed);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_CRASH_SWEEP_H_
