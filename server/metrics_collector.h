// Names the engine's numbers for Prometheus (METRICS.md).
#ifndef DMCACHED_SERVER_METRICS_COLLECTOR_H_
#define DMCACHED_SERVER_METRICS_COLLECTOR_H_

#include <vector>

#include "core/cache/engine.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/executor.h"
#include "server/rpc_metrics.h"

namespace dmcached {

class MetricsCollector : public prometheus::Collectable {  // Thread-safe.
 public:
  // All outlive the collector.
  MetricsCollector(const Engine& engine, const ThreadPool& readers, const RpcMetrics& rpcs)
      : engine_(engine), readers_(readers), rpcs_(rpcs) {}

  // Reads counters only: takes no lock that a writer holds over work, touches no device, commits nothing.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Engine& engine_;
  const ThreadPool& readers_;
  const RpcMetrics& rpcs_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_METRICS_COLLECTOR_H_
