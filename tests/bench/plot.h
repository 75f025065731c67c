// Draws rates as an SVG with logarithmic axes, for READMEs: readable on light and dark pages.
#ifndef DMCACHED_TESTS_BENCH_PLOT_H_
#define DMCACHED_TESTS_BENCH_PLOT_H_

#include <string>
#include <utility>
#include <vector>

#include "tests/bench/report.h"

namespace dmcached::bench {

struct PlotLine {
  std::string name;
  std::vector<std::pair<double, double>> points;  // Positive; by ascending x.
};
struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<PlotLine> lines;  // At most four.
};

std::string Svg(const Plot& plot);

// Marks a second against marks a commit, of dmcached, LMDB and RocksDB: what the rows of durable-marks say.
Plot DurableMarksPlot(const std::vector<Row>& rows);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_PLOT_H_
