// Clocks, medians, and the order in which things are measured: on a shared machine only what ran in turns can be
// compared.
#ifndef DMCACHED_TESTS_BENCH_MEASURE_H_
#define DMCACHED_TESTS_BENCH_MEASURE_H_

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

namespace dmcached::bench {

// Seconds of a clock that never goes back.
double Now();
// Seconds of processor time that this thread, or the whole process, has used.
double ThreadCpu();
double ProcessCpu();

// `values` is not empty.
double Median(std::vector<double> values);
// The value that a share `quantile` (0 to 1) of `values` does not exceed; not empty.
double Quantile(std::vector<double> values, double quantile);

// A measurement gives one value a round.
using Measurement = std::function<double()>;

// The values of some measurements that took turns for a number of rounds.
class Rounds {
 public:
  // Every second round goes through `measurements` backwards, so that none always runs first.
  Rounds(size_t rounds, const std::vector<Measurement>& measurements);
  // Measured already: by measurement, then by round.
  explicit Rounds(std::vector<std::vector<double>> values) : values_(std::move(values)) {}

  double Median(size_t measurement) const;
  // The median of the rounds' ratios.
  double Ratio(size_t measurement, size_t yardstick) const;

 private:
  std::vector<std::vector<double>> values_;  // By measurement, then by round.
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_MEASURE_H_
