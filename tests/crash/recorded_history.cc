#include "tests/crash/recorded_history.h"

#include "absl/strings/str_cat.h"

namespace dmcached {

HistoryNumbers& HistoryNumbers::operator+=(const HistoryNumbers& other) {
  requests += other.requests;
  applied += other.applied;
  for (size_t i = 0; i < applied_of_kind.size(); ++i) applied_of_kind[i] += other.applied_of_kind[i];
  acknowledged_durable += other.acknowledged_durable;
  commits += other.commits;
  opens += other.opens;
  adoptions += other.adoptions;
  kills += other.kills;
  power_cuts += other.power_cuts;
  failed_operations += other.failed_operations;
  snapshots += other.snapshots;
  snapshots_read += other.snapshots_read;
  pressure_commits += other.pressure_commits;
  clean_closes += other.clean_closes;
  return *this;
}

std::string HistoryNumbers::ToText() const {
  return absl::StrCat(requests, " requests, ", applied, " applied, ", acknowledged_durable, " acknowledged durable, ",
                      commits, " commits (", pressure_commits, " for memory or space), ", opens, " opens (", adoptions,
                      " adopted), ", clean_closes, " clean closes, ", kills, " kills, ", power_cuts, " power cuts, ",
                      failed_operations, " failed writes or flushes, ", snapshots, " snapshots (", snapshots_read,
                      " read at the end)");
}

std::string HistoryNumbers::Missing() const {
  std::string missing;
  const auto demand = [&](uint64_t number, absl::string_view what) {
    if (number == 0) absl::StrAppend(&missing, missing.empty() ? "" : ", ", what);
  };
  demand(acknowledged_durable, "durable acknowledgements");
  demand(pressure_commits, "commits for memory or space");
  demand(adoptions, "adoptions");
  demand(clean_closes, "clean closes");
  demand(kills, "kills");
  demand(power_cuts, "power cuts");
  demand(failed_operations, "failed writes or flushes");
  demand(snapshots_read, "snapshots read at the end");
  for (size_t i = 0; i < applied_of_kind.size(); ++i) {
    demand(applied_of_kind[i], absl::StrCat("mutations of kind ", i));
  }
  return missing;
}

}  // namespace dmcached
