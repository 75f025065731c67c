// Names the engine's numbers for Prometheus (METRICS.md).
#ifndef DMCACHED_SERVER_METRICS_COLLECTOR_H_
#define DMCACHED_SERVER_METRICS_COLLECTOR_H_

#include <memory>
#include <vector>

#include "core/cache/engine.h"
#include "prometheus/collectable.h"
#include "prometheus/metric_family.h"
#include "server/authorization.h"
#include "server/credentials.h"
#include "server/executor.h"
#include "server/rpc_metrics.h"

namespace dmcached {

class MetricsCollector : public prometheus::Collectable {  // Thread-safe.
 public:
  // All outlive the collector; `credentials` is set before the first scrape.
  MetricsCollector(const Engine& engine, const ThreadPool& readers, const RpcMetrics& rpcs,
                   const Authorization& authorization, const std::unique_ptr<Credentials>& credentials)
      : engine_(engine), readers_(readers), rpcs_(rpcs), authorization_(authorization), credentials_(credentials) {}

  // Reads counters only: takes no lock that a writer holds over work, touches no device, commits nothing.
  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const Engine& engine_;
  const ThreadPool& readers_;
  const RpcMetrics& rpcs_;
  const Authorization& authorization_;
  const std::unique_ptr<Credentials>& credentials_;  // Null: no TLS.
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_METRICS_COLLECTOR_H_
