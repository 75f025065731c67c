// What an open cache keeps in memory, and what opening it needs for a moment.
#include "tests/bench/memory.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/executor.h"
#include "tests/bench/cases.h"
#include "tests/bench/metadata_file.h"

namespace dmcached::bench {
namespace {

struct Memory {
  double resident = 0;  // Bytes.
  double peak = 0;
};

double StatusBytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field + ":", 0) == 0) return std::stod(line.substr(field.size() + 1)) * 1024;
  }
  GiveUp("/proc/self/status has no " + field);
}

Memory Probe(const std::string& path) {
  // This shell goes; the program's own path would be the shell's in /proc/self/exe.
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string command = absl::StrCat("exec ", self, " ", kMemoryProbe, " ", path);
  FILE* pipe = popen(command.c_str(), "re");
  Memory memory;
  const bool read = pipe != nullptr && std::fscanf(pipe, "%lf %lf", &memory.resident, &memory.peak) == 2;
  if (pipe == nullptr || pclose(pipe) != 0 || !read) GiveUp("failed: " + command);
  return memory;
}

}  // namespace

int MemoryProbe(const char* path) {
  ThreadPool helpers("readers", 2, 1024);
  std::unique_ptr<CacheMetadata> opened;
  if (path != nullptr) opened = OpenMetadata(path, helpers);
  std::printf("%.0f %.0f\n", StatusBytes("VmRSS"), StatusBytes("VmHWM"));
  return 0;
}

void MemoryUse(Run& run) {
  constexpr double kMiB = 1 << 20;
  const auto millions = static_cast<uint32_t>(run.Work(16, 4));
  const MetadataFile small = NewMetadataFile(run, millions / 4 << 20);
  const MetadataFile file = NewMetadataFile(run, millions << 20);
  const Memory empty = Probe("");
  const Memory small_open = Probe(small.path);
  const Memory open = Probe(file.path);
  // Nothing is in the block cache yet.  What a cache of any size has is not counted by the block.
  const double per_block = (open.resident - small_open.resident) / (file.cblocks - small.cblocks);
  run.Add(absl::StrCat("resident once open, from ", millions / 4, "Mi to ", millions, "Mi cache blocks, of each"),
          per_block, "bytes", AtMost(7));
  run.Add("  whatever the size", (open.resident - empty.resident - per_block * file.cblocks) / kMiB, "MiB", AtMost(2));
  run.Add("more than that while opening", (open.peak - open.resident) / kMiB, "MiB", AtMost(64));
}

}  // namespace dmcached::bench
