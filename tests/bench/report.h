// The rows that the benchmarks print: a figure beside its yardstick from the same run.
#ifndef DMCACHED_TESTS_BENCH_REPORT_H_
#define DMCACHED_TESTS_BENCH_REPORT_H_

#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace dmcached::bench {

// What a row is held to.  `higher`: at least `bound`, else at most.
struct Target {
  bool higher = true;
  double bound = 0;
};

struct Row {
  std::string group;   // The case it comes from.
  std::string figure;  // What was measured.
  double value = 0;
  std::string unit;
  std::string yardstick;  // Empty: an absolute figure.
  double yardstick_value = 0;
  double ratio = 0;  // Of value and yardstick, as the median of the rounds; of an absolute figure the value.
  std::optional<Target> target;
};

// Nothing for a row without a target.
std::optional<bool> IsMet(const Row& row);

class Report {
 public:
  explicit Report(std::ostream& out) : out_(out) {}

  // Prints the row at once: long runs are watched.
  void Add(Row row);
  const std::vector<Row>& rows() const { return rows_; }
  // One object a row: group, figure, value, unit, yardstick, yardstickValue, ratio, target, met.
  std::string Json() const;

 private:
  std::ostream& out_;
  std::string group_;
  std::vector<Row> rows_;
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_REPORT_H_
