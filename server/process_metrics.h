// The standard metrics of a process, from /proc/self.
#ifndef DMCACHED_SERVER_PROCESS_METRICS_H_
#define DMCACHED_SERVER_PROCESS_METRICS_H_

#include "server/metric_families.h"

namespace dmcached {

// Adds process_cpu_seconds_total, process_resident_memory_bytes, process_open_fds, process_start_time_seconds; what
// cannot be read is left out.
void AddProcessMetrics(MetricFamilies& families);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_PROCESS_METRICS_H_
