// dmcached_bench: measures the service beside yardsticks that run in the same process run.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/bench/memory.h"
#include "tests/bench/plot.h"
#include "tests/bench/rpc_server.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

struct Flags {
  bool quick = false;
  bool list = false;
  std::string folder = "/var/tmp";
  std::string json;
  std::string plot;
  std::string only;  // A part of the names of the cases to run.
};

constexpr char kUsage[] =
    "usage: dmcached_bench [--quick] [--dir FOLDER] [--json FILE] [--plot FILE] [--only PART_OF_NAME] [--list]\n"
    "  --quick   fewer repetitions of every row\n"
    "  --dir     where files are made (default /var/tmp); its file system must take O_DIRECT\n"
    "  --plot    an SVG of what durable-marks measured\n";

bool Parse(int argc, char** argv, Flags& flags) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto value = [&](std::string& to) {
      if (i + 1 >= argc) return false;
      to = argv[++i];
      return true;
    };
    if (word == "--quick") {
      flags.quick = true;
    } else if (word == "--list") {
      flags.list = true;
    } else if (!(word == "--dir" && value(flags.folder)) && !(word == "--json" && value(flags.json)) &&
               !(word == "--plot" && value(flags.plot)) && !(word == "--only" && value(flags.only))) {
      return false;
    }
  }
  return true;
}

bool TakesDirectIo(const std::string& folder) {
  const std::string path = folder + "/direct";
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
  if (file >= 0) close(file);
  std::filesystem::remove(path);
  return file >= 0;
}

int Main(int argc, char** argv) {
  Flags flags;
  if (!Parse(argc, argv, flags)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (flags.list) {
    for (const Case& one : Cases()) std::cout << one.name << "  " << one.about << "\n";
    return 0;
  }
  std::string folder = flags.folder + "/dmcached-bench-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    std::cerr << "dmcached_bench: no folder can be made in " << flags.folder << "\n";
    return 2;
  }
  RemoveAtExit(folder);
  if (!TakesDirectIo(folder)) {
    std::cerr << "dmcached_bench: the file system of " << flags.folder << " does not take O_DIRECT: use --dir\n";
    return 2;
  }
  Report report(std::cout);
  for (const Case& one : Cases()) {
    if (std::string(one.name).find(flags.only) == std::string::npos) continue;
    // Each case cleans up behind itself: the files of all together are large.
    const std::string own = folder + "/" + one.name;
    std::filesystem::create_directory(own);
    Run run(report, own, flags.quick);
    run.set_group(one.name);
    one.run(run);
    std::filesystem::remove_all(own);
  }
  if (!flags.json.empty()) std::ofstream(flags.json) << report.Json() << "\n";
  if (!flags.plot.empty()) std::ofstream(flags.plot) << Svg(DurableMarksPlot(report.rows()));
  return 0;
}

}  // namespace
}  // namespace dmcached::bench

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == dmcached::bench::kMemoryProbe) {
    return dmcached::bench::MemoryProbe(argc > 2 ? argv[2] : nullptr);
  }
  if (argc == 4 && std::string(argv[1]) == dmcached::bench::kServeRpcs) {
    return dmcached::bench::ServeRpcs(argv[2], argv[3]);
  }
  return dmcached::bench::Main(argc, argv);
}
