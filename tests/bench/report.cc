#include "tests/bench/report.h"

#include <ostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace dmcached::bench {
namespace {

std::string TargetText(const Row& row) {
  if (!row.target.has_value()) return "";
  return absl::StrFormat("%s %.4g", row.target->higher ? ">=" : "<=", row.target->bound);
}

const char* MetText(const Row& row) {
  const std::optional<bool> met = IsMet(row);
  if (!met.has_value()) return "";
  return *met ? "met" : "not met";
}

}  // namespace

std::optional<bool> IsMet(const Row& row) {
  if (!row.target.has_value()) return std::nullopt;
  return row.target->higher ? row.ratio >= row.target->bound : row.ratio <= row.target->bound;
}

void Report::Add(Row row) {
  if (row.group != group_) {
    group_ = row.group;
    out_ << absl::StrFormat("\n%-52s %14s  %-30s %14s %8s %9s\n", group_, "figure", "yardstick", "", "ratio", "target");
  }
  const std::string yardstick = row.yardstick.empty() ? "" : absl::StrFormat("%.4g", row.yardstick_value);
  out_ << absl::StrFormat("  %-50s %10.4g %-10s %-24s %14s %8.3g %9s  %s\n", row.figure, row.value, row.unit,
                          row.yardstick, yardstick, row.ratio, TargetText(row), MetText(row))
       << std::flush;
  rows_.push_back(std::move(row));
}

std::string Report::Json() const {
  nlohmann::json all = nlohmann::json::array();
  for (const Row& row : rows_) {
    nlohmann::json object = {
        {"group", row.group}, {"figure", row.figure}, {"value", row.value}, {"unit", row.unit}, {"ratio", row.ratio}};
    if (!row.yardstick.empty()) {
      object["yardstick"] = row.yardstick;
      object["yardstickValue"] = row.yardstick_value;
    }
    if (row.target.has_value()) {
      object["target"] = TargetText(row);
      object["met"] = *IsMet(row);
    }
    all.push_back(std::move(object));
  }
  return all.dump(1);
}

}  // namespace dmcached::bench
