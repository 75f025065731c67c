// A fixed-bucket histogram that any thread may add to without a lock.
#ifndef DMCACHED_CORE_BASE_HISTOGRAM_H_
#define DMCACHED_CORE_BASE_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace dmcached {

// Values are counted in the first bucket whose bound is not below them; what exceeds every bound in the last one.
template <size_t kBounds>
class Histogram {
 public:
  explicit Histogram(const std::array<double, kBounds>& bounds) : bounds_(bounds) {}

  void Observe(double value) {
    size_t bucket = 0;
    while (bucket < kBounds && value > bounds_[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    double sum = sum_.load(std::memory_order_relaxed);
    while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) {
    }
  }

  const std::array<double, kBounds>& bounds() const { return bounds_; }
  // Not cumulative; index kBounds is the overflow bucket.
  uint64_t count(size_t bucket) const { return counts_[bucket].load(std::memory_order_relaxed); }
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  std::array<double, kBounds> bounds_;
  std::array<std::atomic<uint64_t>, kBounds + 1> counts_{};
  std::atomic<double> sum_{0};
};

// Seconds from 10 microseconds to 10 seconds: device I/O and commits.
inline constexpr std::array<double, 19> kLatencyBoundsSeconds = {
    1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
using LatencyHistogram = Histogram<19>;
// Metadata blocks written by one commit.
inline constexpr std::array<double, 12> kBlockCountBounds = {1, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, 65536};
using BlockCountHistogram = Histogram<12>;

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_HISTOGRAM_H_
