#include "tests/bench/measure.h"

#include <algorithm>
#include <cmath>
#include <ctime>

namespace dmcached::bench {
namespace {

double Read(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

double Now() { return Read(CLOCK_MONOTONIC); }
double ThreadCpu() { return Read(CLOCK_THREAD_CPUTIME_ID); }
double ProcessCpu() { return Read(CLOCK_PROCESS_CPUTIME_ID); }

double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

double Quantile(std::vector<double> values, double quantile) {
  std::sort(values.begin(), values.end());
  const double at = quantile * static_cast<double>(values.size() - 1);
  const size_t below = static_cast<size_t>(std::floor(at));
  const size_t above = static_cast<size_t>(std::ceil(at));
  return values[below] + (values[above] - values[below]) * (at - std::floor(at));
}

Rounds::Rounds(size_t rounds, const std::vector<Measurement>& measurements) : values_(measurements.size()) {
  for (size_t round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < measurements.size(); ++i) {
      const size_t next = round % 2 == 0 ? i : measurements.size() - 1 - i;
      values_[next].push_back(measurements[next]());
    }
  }
}

double Rounds::Median(size_t measurement) const { return bench::Median(values_[measurement]); }

double Rounds::Ratio(size_t measurement, size_t yardstick) const {
  std::vector<double> ratios;
  for (size_t round = 0; round < values_[measurement].size(); ++round) {
    ratios.push_back(values_[measurement][round] / values_[yardstick][round]);
  }
  return bench::Median(ratios);
}

}  // namespace dmcached::bench
