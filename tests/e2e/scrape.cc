#include "tests/e2e/scrape.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/e2e/http_get.h"

namespace dmcached {

double Series::Of(const std::string& metric) const { return At(metric + "{cache=\"c1\"}"); }

double Series::At(const std::string& series) const {
  const auto found = find(series);
  EXPECT_NE(found, end()) << series;
  return found == end() ? -1 : found->second;
}

Series Scrape(const std::string& address) {
  const HttpAnswer answer = HttpGet(address, "/metrics");
  EXPECT_EQ(answer.status, 200);
  Series series;
  std::istringstream lines(answer.body);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.rfind(' ');
    EXPECT_TRUE(series.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second) << line;
  }
  return series;
}

}  // namespace dmcached
