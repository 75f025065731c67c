// What a case of the benchmarks is given, and the list of the cases.
#ifndef DMCACHED_TESTS_BENCH_RUN_H_
#define DMCACHED_TESTS_BENCH_RUN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/measure.h"
#include "tests/bench/report.h"

namespace dmcached::bench {

class Run {
 public:
  // `folder` is for files; its file system takes O_DIRECT.
  Run(Report& report, std::string folder, bool quick) : report_(report), folder_(std::move(folder)), quick_(quick) {}

  bool quick() const { return quick_; }
  // `full` rounds, fewer in a quick run.
  size_t Rounds(size_t full) const { return quick_ && full > 3 ? 3 : full; }
  // Work of a round: a quick run does a share of it.
  uint64_t Work(uint64_t full, uint64_t quick) const { return quick_ ? quick : full; }

  // A new file or folder name; removed with the run's folder.
  std::string NewPath(const std::string& name) { return folder_ + "/" + name + "-" + std::to_string(next_++); }
  // A file of `bytes` zeros that were really written.
  std::string NewFile(const std::string& name, uint64_t bytes);

  void set_group(std::string group) { group_ = std::move(group); }
  void Add(const std::string& figure, double value, const std::string& unit,
           std::optional<Target> target = std::nullopt);
  // The ratio is that of `rounds`: measurement over yardstick.
  void Compare(const std::string& figure, const bench::Rounds& rounds, size_t measurement, size_t yardstick,
               const std::string& unit, const std::string& yardstick_name, std::optional<Target> target = std::nullopt);

 private:
  Report& report_;
  const std::string folder_;
  const bool quick_;
  std::string group_;
  int next_ = 0;
};

struct Case {
  const char* name;
  const char* about;
  void (*run)(Run&);
};
const std::vector<Case>& Cases();

// However the program ends, short of a signal.
void RemoveAtExit(const std::string& folder);

// Ends the program with `what`: a benchmark that cannot do its work has no figure.
[[noreturn]] void GiveUp(const std::string& what);

inline Target AtLeast(double bound) { return {.higher = true, .bound = bound}; }
inline Target AtMost(double bound) { return {.higher = false, .bound = bound}; }

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_RUN_H_
