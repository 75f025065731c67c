#include "tests/bench/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace dmcached::bench {
namespace {

constexpr double kWidth = 760, kHeight = 460;
constexpr double kLeft = 90, kRight = 640, kTop = 50, kBottom = 390;  // Of the axes; names stand on the right.
// Dark and light enough for both pages.
constexpr std::array<const char*, 4> kColors = {"#2a7fd4", "#d9662a", "#3a9a5b", "#a05fc4"};

constexpr char kStyle[] =
    "<style>\n"
    "text{font:13px sans-serif;fill:#333}.title{font-size:16px;font-weight:bold}\n"
    ".grid{stroke:#8884;stroke-width:1}.axis{stroke:#888;stroke-width:1;fill:none}\n"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}\n"
    "</style>\n";

// Whole decades around the values, as exponents of ten.
struct Range {
  int low = 0;
  int high = 1;
};

Range DecadesOf(const std::vector<PlotLine>& lines, double std::pair<double, double>::*coordinate) {
  double low = HUGE_VAL, high = 0;
  for (const PlotLine& line : lines) {
    for (const auto& point : line.points) {
      low = std::min(low, point.*coordinate);
      high = std::max(high, point.*coordinate);
    }
  }
  if (high == 0) return {};
  const int first = static_cast<int>(std::floor(std::log10(low)));
  return {first, std::max(first + 1, static_cast<int>(std::ceil(std::log10(high))))};
}

double Place(double value, const Range& range, double from, double to) {
  return from + (std::log10(value) - range.low) / (range.high - range.low) * (to - from);
}

std::string DecadeName(int exponent) {
  if (exponent >= 6) return absl::StrFormat("%.0fM", std::pow(10, exponent - 6));
  if (exponent >= 3) return absl::StrFormat("%.0fk", std::pow(10, exponent - 3));
  return absl::StrFormat("%g", std::pow(10, exponent));
}

std::string Text(double x, double y, const char* anchor, const std::string& text, const std::string& more = "") {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", x, y, anchor, more, text);
}

std::string Grid(const Range& x, const Range& y) {
  std::string svg;
  for (int exponent = x.low; exponent <= x.high; ++exponent) {
    const double at = Place(std::pow(10, exponent), x, kLeft, kRight);
    absl::StrAppendFormat(&svg, "<path class=\"grid\" d=\"M%.1f %.1fV%.1f\"/>\n", at, kTop, kBottom);
    svg += Text(at, kBottom + 20, "middle", DecadeName(exponent));
  }
  for (int exponent = y.low; exponent <= y.high; ++exponent) {
    const double at = Place(std::pow(10, exponent), y, kBottom, kTop);
    absl::StrAppendFormat(&svg, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", kLeft, at, kRight);
    svg += Text(kLeft - 10, at + 4, "end", DecadeName(exponent));
  }
  absl::StrAppendFormat(&svg, "<path class=\"axis\" d=\"M%.1f %.1fV%.1fH%.1f\"/>\n", kLeft, kTop, kBottom, kRight);
  return svg;
}

std::string Line(const PlotLine& line, const char* color, const Range& x, const Range& y) {
  std::string points, dots;
  double end = kTop;
  for (const auto& [at, value] : line.points) {
    const double px = Place(at, x, kLeft, kRight);
    end = Place(value, y, kBottom, kTop);
    absl::StrAppendFormat(&points, "%.1f,%.1f ", px, end);
    absl::StrAppendFormat(&dots, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"%s\"/>\n", px, end, color);
  }
  return absl::StrCat("<polyline points=\"", points, "\" fill=\"none\" stroke-width=\"2.5\" stroke=\"", color, "\"/>\n",
                      dots,
                      Text(kRight + 12, end + 4, "start", line.name, absl::StrCat(" style=\"fill:", color, "\"")));
}

}  // namespace

std::string Svg(const Plot& plot) {
  const Range x = DecadesOf(plot.lines, &std::pair<double, double>::first);
  const Range y = DecadesOf(plot.lines, &std::pair<double, double>::second);
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>%s</title>\n", kWidth,
      kHeight, plot.title);
  absl::StrAppend(&svg, kStyle, Text(kLeft, 28, "start", plot.title, " class=\"title\""), Grid(x, y),
                  Text((kLeft + kRight) / 2, kBottom + 48, "middle", plot.x_label),
                  Text(24, (kTop + kBottom) / 2, "middle", plot.y_label,
                       absl::StrFormat(" transform=\"rotate(-90 24 %.1f)\"", (kTop + kBottom) / 2)));
  for (size_t i = 0; i < plot.lines.size() && i < kColors.size(); ++i) svg += Line(plot.lines[i], kColors[i], x, y);
  return absl::StrCat(svg, "</svg>\n");
}

Plot DurableMarksPlot(const std::vector<Row>& rows) {
  std::map<std::string, std::map<double, double>> rates;
  for (const Row& row : rows) {
    int marks = 0;
    int length = 0;
    const bool fits = std::sscanf(row.figure.c_str(), "format 2, a commit every %d%n", &marks, &length) == 1;
    if (row.group != "durable-marks" || !fits || static_cast<size_t>(length) != row.figure.size()) continue;
    rates["dmcached"][marks] = row.value;
    rates[row.yardstick][marks] = row.yardstick_value;
  }
  Plot plot = {.title = "Random dirty marks, 1M cache blocks, synchronous commits",
               .x_label = "marks a commit",
               .y_label = "durable marks a second",
               .lines = {}};
  for (const char* name : {"dmcached", "LMDB", "RocksDB"}) {
    plot.lines.push_back({name, {rates[name].begin(), rates[name].end()}});
  }
  return plot;
}

}  // namespace dmcached::bench
