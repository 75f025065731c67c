// Builds the families of one scrape: each metric is described once, where its first value is added.
#ifndef DMCACHED_SERVER_METRIC_FAMILIES_H_
#define DMCACHED_SERVER_METRIC_FAMILIES_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/histogram.h"
#include "prometheus/client_metric.h"
#include "prometheus/metric_family.h"

namespace dmcached {

using MetricLabels = std::vector<prometheus::ClientMetric::Label>;

class MetricFamilies {
 public:
  void Gauge(const char* name, const char* help, MetricLabels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    Add(name, help, prometheus::MetricType::Gauge, std::move(metric));
  }

  void Counter(const char* name, const char* help, MetricLabels labels, double value) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    Add(name, help, prometheus::MetricType::Counter, std::move(metric));
  }

  template <size_t kBounds>
  void AddHistogram(const char* name, const char* help, MetricLabels labels, const Histogram<kBounds>& histogram) {
    prometheus::ClientMetric metric;
    metric.label = std::move(labels);
    uint64_t count = 0;
    for (size_t i = 0; i < kBounds; ++i) {
      count += histogram.count(i);
      metric.histogram.bucket.push_back({count, histogram.bounds()[i]});
    }
    metric.histogram.sample_count = count + histogram.count(kBounds);
    metric.histogram.sample_sum = histogram.sum();
    Add(name, help, prometheus::MetricType::Histogram, std::move(metric));
  }

  // In the order of the first value of each.
  std::vector<prometheus::MetricFamily> Take() && { return std::move(families_); }

 private:
  void Add(const char* name, const char* help, prometheus::MetricType type, prometheus::ClientMetric metric) {
    const auto [found, is_new] = index_.try_emplace(name, families_.size());
    if (is_new) families_.push_back({name, help, type, {}});
    families_[found->second].metric.push_back(std::move(metric));
  }

  std::vector<prometheus::MetricFamily> families_;
  std::map<std::string, size_t> index_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_METRIC_FAMILIES_H_
