#include "server/metrics_collector.h"

#include <array>
#include <atomic>
#include <string>
#include <utility>

#include "core/base/status.h"
#include "core/cache/cache_counters.h"
#include "core/device/block_device.h"
#include "core/format/superblock.h"
#include "server/metric_families.h"
#include "server/process_metrics.h"
#include "server/state_monitor.h"
#include "server/version.h"

namespace dmcached {
namespace {

// In the order of their enums.
constexpr std::array<CacheState, 6> kStates = {CacheState::kOpen,       CacheState::kReadOnly, CacheState::kFailed,
                                               CacheState::kNeedsCheck, CacheState::kOpening,  CacheState::kClosing};
constexpr std::array<const char*, kMutationOps> kOpNames = {"insert",      "remove",        "mark_dirty", "clear_dirty",
                                                            "set_discard", "clear_discard", "save_hint"};
constexpr std::array<const char*, kCommitTriggers> kTriggerNames = {"rpc", "timer", "ack", "pressure", "close"};
constexpr std::array<const char*, kBlockKinds> kStructureNames = {"superblock", "index", "array", "bitmap",
                                                                  "space_map_index"};
constexpr std::array<const char*, kDeviceOps> kDeviceOpNames = {"read", "write", "flush", "discard"};

double Number(const std::atomic<uint64_t>& value) { return static_cast<double>(value.load(std::memory_order_relaxed)); }

void AddInfo(const CacheMetrics& cache, MetricFamilies& families) {
  families.Gauge("dmcached_cache_info", "What a cache is; always 1.",
                 {{"cache", cache.name},
                  {"policy", PrintableText(cache.policy)},
                  {"metadata_version", std::to_string(cache.metadata_version)},
                  {"dirty_tracking", cache.dirty_tracking == DirtyTracking::kExact ? "exact" : "conservative"}},
                 1);
  for (const CacheState state : kStates) {
    families.Gauge("dmcached_cache_state", "1 for the state that the cache is in, 0 for the others.",
                   {{"cache", cache.name}, {"state", StateName(state)}}, cache.state == state ? 1 : 0);
  }
}

void AddBlocks(const std::string& name, const CacheCounters& counters, MetricFamilies& families) {
  const MetricLabels label = {{"cache", name}};
  // Each is read once: whatever a writer does meanwhile, none of the three is negative.
  const double dirty = Number(counters.dirty_blocks);
  const double mapped = std::max(Number(counters.mapped_blocks), dirty);
  const double free = std::max(Number(counters.cache_blocks) - mapped, 0.0);
  const auto blocks = [&](const char* state, double value) {
    families.Gauge("dmcached_cache_blocks", "Cache blocks: not mapped, mapped and clean, mapped and dirty.",
                   {{"cache", name}, {"state", state}}, value);
  };
  blocks("free", free);
  blocks("clean", mapped - dirty);
  blocks("dirty", dirty);
  families.Gauge("dmcached_cache_block_size_bytes", "Size of a cache block.", label, Number(counters.block_size_bytes));
  families.Gauge("dmcached_cache_size_bytes", "Cache blocks times their size.", label,
                 Number(counters.cache_size_bytes));
  if (counters.origin_size_bytes != 0) {
    families.Gauge("dmcached_origin_size_bytes", "Size of the origin, where it is known.", label,
                   Number(counters.origin_size_bytes));
  }
  families.Gauge("dmcached_discarded_bytes", "Origin ranges whose contents are worthless.", label,
                 Number(counters.discarded_bytes));
  if (const double since = counters.dirty_since_seconds; since > 0) {
    families.Gauge("dmcached_cache_dirty_since_timestamp_seconds",
                   "When the number of dirty blocks last left 0; absent while nothing is dirty.", label, since);
  }
  if (const double opened = counters.opened_seconds; opened > 0) {
    families.Gauge("dmcached_cache_opened_timestamp_seconds", "When the cache was opened.", label, opened);
  }
}

void AddMutations(const std::string& name, const CacheCounters& counters, MetricFamilies& families) {
  const auto hits = [&](const char* metric, const char* help, const char* op, const std::atomic<uint64_t>& value) {
    families.Counter(metric, help, {{"cache", name}, {"op", op}}, Number(value));
  };
  const char* const hit_help = "Hits as the metadata's statistics count them.";
  const char* const miss_help = "Misses as the metadata's statistics count them.";
  hits("dmcached_hits_total", hit_help, "read", counters.read_hits);
  hits("dmcached_hits_total", hit_help, "write", counters.write_hits);
  hits("dmcached_misses_total", miss_help, "read", counters.read_misses);
  hits("dmcached_misses_total", miss_help, "write", counters.write_misses);
  for (size_t op = 0; op < kMutationOps; ++op) {
    families.Counter("dmcached_mutations_total", "Items applied (not requests).",
                     {{"cache", name}, {"op", kOpNames[op]}}, Number(counters.mutations[op]));
  }
  for (size_t reason = 0; reason < kReasons; ++reason) {
    if (counters.rejected[reason] == 0) continue;
    families.Counter("dmcached_mutations_rejected_total", "Mutation requests refused, by reason.",
                     {{"cache", name}, {"reason", std::string(ReasonName(static_cast<Reason>(reason)))}},
                     Number(counters.rejected[reason]));
  }
  families.Gauge("dmcached_pending_mutations", "Requests applied and not durable yet: the loss window.",
                 {{"cache", name}}, Number(counters.pending_mutations));
  families.Counter("dmcached_unclean_opens_total", "Opens that found unclean metadata.", {{"cache", name}},
                   Number(counters.unclean_opens));
}

void AddCommits(const std::string& name, const CacheCounters& counters, MetricFamilies& families) {
  const MetricLabels label = {{"cache", name}};
  for (size_t trigger = 0; trigger < kCommitTriggers; ++trigger) {
    families.Counter("dmcached_commits_total", "Commits, by what started them.",
                     {{"cache", name}, {"trigger", kTriggerNames[trigger]}}, Number(counters.commits[trigger]));
  }
  families.AddHistogram("dmcached_commit_duration_seconds", "Time of a commit from its start until it is durable.",
                        label, counters.commit_seconds);
  families.AddHistogram("dmcached_commit_written_blocks", "Metadata blocks that one commit wrote.", label,
                        counters.commit_written_blocks);
  families.Gauge("dmcached_transaction", "Number of the open transaction.", label, Number(counters.transaction));
  families.Gauge("dmcached_durable_transaction", "Number of the last durable transaction.", label,
                 Number(counters.durable_transaction));
  if (const double last = counters.last_commit_seconds; last > 0) {
    families.Gauge("dmcached_last_commit_timestamp_seconds", "When the last commit became durable.", label, last);
  }
  for (const auto& [result, count] :
       {std::pair("ok", &counters.checks_ended), std::pair("error", &counters.checks_failed)}) {
    families.Counter("dmcached_operations_total", "Long operations that ended, by how: ok, whatever they found; error.",
                     {label.front(), {"kind", "check"}, {"result", result}}, Number(*count));
  }
  if (counters.last_check_seconds.load() > 0) {
    families.Gauge("dmcached_last_check_timestamp_seconds", "When the last check ended; absent until the first.", label,
                   counters.last_check_seconds.load());
    families.Gauge("dmcached_last_check_errors", "Findings above a note of the last check; absent until the first.",
                   label, Number(counters.last_check_errors));
  }
  families.Gauge("dmcached_snapshots", "Snapshots that are held.", label, Number(counters.snapshots));
  families.Counter("dmcached_snapshots_revoked_total", "Snapshots that were taken from their readers.", label,
                   Number(counters.snapshots_revoked));
}

void AddStore(const std::string& name, const CacheCounters& counters, MetricFamilies& families) {
  const MetricLabels label = {{"cache", name}};
  families.Gauge("dmcached_metadata_size_bytes", "Metadata that the space map manages.", label,
                 Number(counters.metadata_size_bytes));
  families.Gauge("dmcached_metadata_free_bytes", "Metadata that the open transaction does not use.", label,
                 Number(counters.metadata_free_bytes));
  families.Gauge("dmcached_metadata_held_bytes",
                 "Free in the open transaction, still used by the durable or committing state or a snapshot.", label,
                 Number(counters.metadata_held_bytes));
  families.Gauge("dmcached_block_cache_bytes", "Metadata blocks in memory.", label, Number(counters.block_cache_bytes));
  families.Counter("dmcached_block_cache_hits_total", "Metadata blocks found in memory.", label,
                   Number(counters.block_cache_hits));
  families.Counter("dmcached_block_cache_misses_total", "Metadata blocks read from the device.", label,
                   Number(counters.block_cache_misses));
  for (size_t kind = 0; kind < kBlockKinds; ++kind) {
    families.Counter("dmcached_checksum_errors_total", "Metadata blocks with a wrong checksum.",
                     {{"cache", name}, {"structure", kStructureNames[kind]}}, Number(counters.checksum_errors[kind]));
  }
}

void AddDevice(const std::string& cache, const std::string& role, const DeviceStats& device, MetricFamilies& families) {
  for (size_t op = 0; op < kDeviceOps; ++op) {
    const DeviceStats::PerOp& stats = device.ops[op];
    const MetricLabels labels = {{"cache", cache}, {"device", role}, {"op", kDeviceOpNames[op]}};
    families.AddHistogram("dmcached_device_io_seconds", "Time of one transfer or flush.", labels, stats.seconds);
    families.Counter("dmcached_device_io_bytes_total", "Bytes transferred.", labels, Number(stats.bytes));
    families.Counter("dmcached_device_errors_total", "Transfers and flushes that failed.", labels,
                     Number(stats.errors));
  }
}

}  // namespace

std::vector<prometheus::MetricFamily> MetricsCollector::Collect() const {
  MetricFamilies families;
  families.Gauge("dmcached_build_info", "What is running; always 1.",
                 {{"version", Version()}, {"revision", Revision()}}, 1);
  for (const CacheMetrics& cache : engine_.Metrics()) {
    AddInfo(cache, families);
    if (cache.counters != nullptr) {
      AddBlocks(cache.name, *cache.counters, families);
      AddMutations(cache.name, *cache.counters, families);
      AddCommits(cache.name, *cache.counters, families);
      AddStore(cache.name, *cache.counters, families);
    }
    for (const auto& [role, stats] : cache.devices) AddDevice(cache.name, role, *stats, families);
  }
  families.Gauge("dmcached_executor_queue_depth", "Reads that wait for a thread.", {},
                 static_cast<double>(readers_.depth()));
  families.Counter("dmcached_executor_rejected_total", "Reads refused because the queue was full.", {},
                   static_cast<double>(readers_.rejected()));
  authorization_.AddTo(families);
  if (credentials_ != nullptr) credentials_->AddTo(families);
  rpcs_.AddTo(families);
  AddProcessMetrics(families);
  return std::move(families).Take();
}

}  // namespace dmcached
