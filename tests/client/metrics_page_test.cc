#include "client/cli/metrics_page.h"

#include <gtest/gtest.h>

namespace dmcached::cli {
namespace {

TEST(MetricsPageTest, AddsUpSeriesByNameAndCache) {
  const MetricsPage page = MetricsPage::Parse(
      "# HELP dmcached_commits_total Commits.\n"
      "# TYPE dmcached_commits_total counter\n"
      "dmcached_commits_total{cache=\"a\",trigger=\"rpc\"} 3\n"
      "dmcached_commits_total{trigger=\"timer\",cache=\"a\"} 4\n"
      "dmcached_commits_total{cache=\"ab\",trigger=\"rpc\"} 1e2\n"
      "dmcached_commits_total{fast_cache=\"a\"} 1000\n"
      "dmcached_commits_total_of_others 7\r\n"
      "up 1\n"
      "no_value\n"
      "no_number x\n");
  EXPECT_EQ(page.Sum("dmcached_commits_total", "a"), 7);
  EXPECT_EQ(page.Sum("dmcached_commits_total", "ab"), 100);
  EXPECT_EQ(page.Sum("dmcached_commits_total"), 1107);
  EXPECT_EQ(page.Sum("dmcached_commits_total_of_others"), 7);
  EXPECT_EQ(page.Sum("up"), 1);
  EXPECT_EQ(page.Sum("up", "a"), std::nullopt);
  EXPECT_EQ(page.Sum("no_value"), std::nullopt);
  EXPECT_EQ(page.Sum("no_number"), std::nullopt);
}

TEST(MetricsPageTest, UrlsHaveAHostAPortAndMaybeAPath) {
  const auto parse = [](const char* text) {
    const auto url = ParseMetricsUrl(text);
    return url.ok() ? url->host + " " + std::to_string(url->port) + " " + url->path : "refused";
  };
  EXPECT_EQ(parse("127.0.0.1:9464"), "127.0.0.1 9464 /metrics");
  EXPECT_EQ(parse("http://node-7:80/m/x"), "node-7 80 /m/x");
  EXPECT_EQ(parse("[::1]:9464"), "::1 9464 /metrics");
  for (const char* text : {"", "node", ":9464", "node:0", "node:65536", "node:x", "https://node:1", "http://"}) {
    EXPECT_EQ(parse(text), "refused") << text;
  }
}

}  // namespace
}  // namespace dmcached::cli
