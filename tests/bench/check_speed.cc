// The offline check beside thin-provisioning-tools' cache_check, and a list through a snapshot.
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/executor.h"
#include "server/system_clock.h"
#include "tests/bench/cases.h"
#include "tests/bench/metadata_file.h"
#include "tests/bench/raw_read.h"
#include "tests/bench/walks.h"

namespace dmcached::bench {
namespace {

std::optional<std::string> FindCacheCheck() {
  std::string folders = "/usr/sbin:/sbin";
  if (const char* path = std::getenv("PATH"); path != nullptr) folders = std::string(path) + ":" + folders;
  for (size_t begin = 0; begin < folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string program = folders.substr(begin, end - begin) + "/cache_check";
    if (std::filesystem::exists(program)) return program;
    begin = end + 1;
  }
  return std::nullopt;
}

double RunCacheCheck(const std::string& program, const std::string& path) {
  const std::string command = program + " -q " + path;
  const double begin = Now();
  const int status = std::system(command.c_str());
  const double took = Now() - begin;
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) GiveUp("failed: " + command);
  return took;
}

}  // namespace

void CheckSpeed(Run& run) {
  constexpr uint32_t kCblocks = 2000000;
  ThreadPool helpers("check", 2, 1024);
  const MetadataFile narrow = NewMetadataFile(run, kCblocks);
  const MetadataFile wide = NewMetadataFile(run, kCblocks, /*origin_factor=*/4096);
  const std::optional<std::string> theirs = FindCacheCheck();
  if (!theirs.has_value()) GiveUp("cache_check of thin-provisioning-tools is missing");
  const auto compare = [&](const char* figure, const MetadataFile& file, double bound) {
    RunCacheCheck(*theirs, file.path);  // Fills the page cache.
    const Rounds rounds(run.Rounds(5), {[&] { return 1 / CheckSeconds(file.path, helpers); },
                                        [&] { return 1 / RunCacheCheck(*theirs, file.path); },
                                        [&] { return 1 / ReadAndChecksum(file.path, file.live_bytes, true); }});
    run.Compare(figure, rounds, 0, 1, "checks/s", "cache_check", AtLeast(bound));
    run.Compare(absl::StrCat("  at most, with nothing but reading: ", figure), rounds, 2, 1, "checks/s", "cache_check");
  };
  compare("2M mappings", wide, 100);
  compare("2M mappings, origin fits a bitmap", narrow, 200);
  const SystemClock clock;
  std::vector<double> listed;
  for (size_t round = 0; round < run.Rounds(5); ++round)
    listed.push_back(kCblocks / ListSeconds(narrow.path, helpers, clock));
  run.Add("list through a snapshot, 2M mappings", Median(listed), "mappings/s");
}

}  // namespace dmcached::bench
