// What a daemon's /metrics says, as far as `top` wants to know it.
#ifndef DMCACHED_CLIENT_CLI_METRICS_PAGE_H_
#define DMCACHED_CLIENT_CLI_METRICS_PAGE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace dmcached::cli {

struct MetricsUrl {
  std::string host;
  int port = 0;
  std::string path = "/metrics";
};

// HOST:PORT, http://HOST:PORT or http://HOST:PORT/PATH; an IPv6 address in brackets.
absl::StatusOr<MetricsUrl> ParseMetricsUrl(const std::string& text);

class MetricsPage {
 public:
  // `text` in Prometheus' exposition format; lines that are none of it are left out.
  static MetricsPage Parse(const std::string& text);
  // Over plain HTTP.  Errors: kUnavailable, with the URL.
  static absl::StatusOr<MetricsPage> Fetch(const MetricsUrl& url);

  // The sum of all series of `name`; of those with the label `cache`, if one is given.  Nothing if there is none.
  std::optional<double> Sum(const std::string& name, const std::string& cache = {}) const;

 private:
  struct Sample {
    std::string name;
    std::string cache;  // Empty: no such label.
    double value = 0;
  };
  std::vector<Sample> samples_;
};

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_METRICS_PAGE_H_
