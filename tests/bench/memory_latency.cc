#include "tests/bench/memory_latency.h"

#include <cstring>
#include <numeric>
#include <random>
#include <utility>

#include "tests/bench/measure.h"

namespace dmcached::bench {

MemoryLatency::MemoryLatency(size_t bytes) : lines_(bytes / kLineBytes), memory_(lines_ * kLineBytes) {
  // Sattolo: one cycle through all lines.
  std::vector<uint32_t> next(lines_);
  std::iota(next.begin(), next.end(), 0);
  std::mt19937_64 random(1);
  for (size_t i = lines_ - 1; i > 0; --i) std::swap(next[i], next[random() % i]);
  for (size_t i = 0; i < lines_; ++i) Line(i) = next[i];
}

uint32_t& MemoryLatency::Line(size_t i) { return *reinterpret_cast<uint32_t*>(memory_.data() + i * kLineBytes); }

double MemoryLatency::Dependent(size_t reads) {
  const double begin = ThreadCpu();
  for (size_t i = 0; i < reads; ++i) at_ = *static_cast<volatile uint32_t*>(&Line(at_));
  return (ThreadCpu() - begin) * 1e9 / static_cast<double>(reads);
}

double MemoryLatency::Independent(size_t reads) {
  const double begin = ThreadCpu();
  for (size_t i = 0; i < reads; ++i) {
    const uint64_t line = (static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15 >> 24) % lines_;
    at_ ^= *static_cast<volatile uint32_t*>(&Line(line));
  }
  at_ %= lines_;
  return (ThreadCpu() - begin) * 1e9 / static_cast<double>(reads);
}

}  // namespace dmcached::bench
