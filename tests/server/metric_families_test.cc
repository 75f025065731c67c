#include "server/metric_families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "prometheus/text_serializer.h"
#include "server/process_metrics.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

TEST(MetricFamiliesTest, ValuesOfOneMetricShareAFamily) {
  MetricFamilies families;
  families.Gauge("a", "help", {{"cache", "x"}}, 1);
  families.Counter("b_total", "help", {}, 2);
  families.Gauge("a", "help", {{"cache", "y"}}, 3);
  const auto taken = std::move(families).Take();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].metric.size(), 2u);
  EXPECT_THAT(prometheus::TextSerializer().Serialize(taken), HasSubstr("a{cache=\"y\"} 3"));
}

TEST(MetricFamiliesTest, HistogramsAreCumulative) {
  const std::array<double, 2> bounds = {1, 2};
  Histogram<2> histogram(bounds);
  for (const double value : {0.5, 1.5, 1.5, 9.0}) histogram.Observe(value);
  MetricFamilies families;
  families.AddHistogram("h", "help", {}, histogram);
  const std::string text = prometheus::TextSerializer().Serialize(std::move(families).Take());
  EXPECT_THAT(text, HasSubstr("h_count 4\n"));
  EXPECT_THAT(text, HasSubstr("h_sum 12.5\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{le=\"2\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("h_bucket{le=\"+Inf\"} 4\n"));
}

TEST(ProcessMetricsTest, EveryStandardMetricIsThereAndPlausible) {
  MetricFamilies families;
  AddProcessMetrics(families);
  std::map<std::string, double> values;
  for (const auto& family : std::move(families).Take()) {
    const auto& metric = family.metric[0];
    values[family.name] = family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
  }
  EXPECT_GE(values.at("process_cpu_seconds_total"), 0);
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GE(values.at("process_open_fds"), 3);
  EXPECT_GT(values.at("process_start_time_seconds"), 1.5e9);
}

}  // namespace
}  // namespace dmcached
