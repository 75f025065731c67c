#include "tests/bench/run.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace dmcached::bench {

void RemoveAtExit(const std::string& folder) {
  static const std::string removed = folder;  // Of the first call; there is one.
  std::atexit([] { std::filesystem::remove_all(removed); });
}

void GiveUp(const std::string& what) {
  std::fprintf(stderr, "dmcached_bench: %s\n", what.c_str());
  std::exit(1);
}

std::string Run::NewFile(const std::string& name, uint64_t bytes) {
  std::string path = NewPath(name);
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) GiveUp("cannot create " + path + ": " + std::strerror(errno));
  const std::vector<char> zeros(1 << 20);
  for (uint64_t done = 0; done < bytes;) {
    const size_t part = static_cast<size_t>(std::min<uint64_t>(zeros.size(), bytes - done));
    const ssize_t written = write(file, zeros.data(), part);
    if (written <= 0) GiveUp("cannot write " + path + ": " + std::strerror(errno));
    done += static_cast<uint64_t>(written);
  }
  if (fsync(file) != 0) GiveUp("cannot flush " + path + ": " + std::strerror(errno));
  close(file);
  return path;
}

void Run::Add(const std::string& figure, double value, const std::string& unit, std::optional<Target> target) {
  report_.Add({.group = group_,
               .figure = figure,
               .value = value,
               .unit = unit,
               .yardstick = {},
               .yardstick_value = 0,
               .ratio = value,
               .target = target});
}

void Run::Compare(const std::string& figure, const bench::Rounds& rounds, size_t measurement, size_t yardstick,
                  const std::string& unit, const std::string& yardstick_name, std::optional<Target> target) {
  report_.Add({.group = group_,
               .figure = figure,
               .value = rounds.Median(measurement),
               .unit = unit,
               .yardstick = yardstick_name,
               .yardstick_value = rounds.Median(yardstick),
               .ratio = rounds.Ratio(measurement, yardstick),
               .target = target});
}

}  // namespace dmcached::bench
