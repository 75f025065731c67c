#include "server/process_metrics.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

namespace dmcached {
namespace {

// Positions in /proc/self/stat, counted from the field behind the command's name: proc(5) fields 14, 15, 22 and 24.
constexpr size_t kUserTime = 11;
constexpr size_t kSystemTime = 12;
constexpr size_t kStartTime = 19;
constexpr size_t kResidentPages = 21;

std::vector<std::string> StatFields() {
  std::ifstream stream("/proc/self/stat");
  std::string line;
  std::getline(stream, line);
  // The name may hold spaces and parentheses; its own closing one is the last.
  const size_t end = line.rfind(')');
  if (end == std::string::npos) return {};
  std::istringstream rest(line.substr(end + 1));
  return {std::istream_iterator<std::string>(rest), {}};
}

// When the machine started, in seconds since the epoch; 0: unknown.
double BootSeconds() {
  std::ifstream stream("/proc/stat");
  std::string key;
  while (stream >> key) {
    double value = 0;
    if (key == "btime" && stream >> value) return value;
    std::getline(stream, key);
  }
  return 0;
}

}  // namespace

void AddProcessMetrics(MetricFamilies& families) {
  const std::vector<std::string> stat = StatFields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  if (stat.size() > kResidentPages) {
    families.Counter("process_cpu_seconds_total", "CPU time that the process has used, user and system.", {},
                     (std::stod(stat[kUserTime]) + std::stod(stat[kSystemTime])) / ticks);
    families.Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", {},
                   std::stod(stat[kResidentPages]) * static_cast<double>(sysconf(_SC_PAGESIZE)));
    if (const double boot = BootSeconds(); boot > 0) {
      families.Gauge("process_start_time_seconds", "When the process started, in seconds since the epoch.", {},
                     boot + std::stod(stat[kStartTime]) / ticks);
    }
  }
  std::error_code error;
  const std::filesystem::directory_iterator begin("/proc/self/fd", error);
  if (!error) {
    // One of them is the iterator's own.
    families.Gauge("process_open_fds", "File descriptors that are open.", {},
                   static_cast<double>(std::distance(begin, std::filesystem::directory_iterator()) - 1));
  }
}

}  // namespace dmcached
