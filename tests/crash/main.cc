// Random histories, the power cut at every write and flush of each.
//
//   crash_driver [--seed N] [--images N | --hours H] [--steps N] [--jobs N]
//
// Runs until so many distinct images of first cuts were judged, or so long.  History i has the seed N + i: `--seed N+i
// --images 1` repeats it alone.  The last line says how much was tried.  Exit code 1: something was found.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/crash/crash_sweep.h"
#include "tests/crash/engine_history.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

using SteadyClock = std::chrono::steady_clock;

struct Flags {
  std::optional<uint64_t> seed;
  uint64_t images = 3000;
  double hours = 0;
  int steps = 150;
  int jobs = 1;
};

bool ParseFlags(int argc, char** argv, Flags& flags) {
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    uint64_t seed = 0;
    if (name == "--seed" && absl::SimpleAtoi(argv[i + 1], &seed)) {
      flags.seed = seed;
    } else if (!(name == "--images" && absl::SimpleAtoi(argv[i + 1], &flags.images)) &&
               !(name == "--hours" && absl::SimpleAtod(argv[i + 1], &flags.hours)) &&
               !(name == "--steps" && absl::SimpleAtoi(argv[i + 1], &flags.steps)) &&
               !(name == "--jobs" && absl::SimpleAtoi(argv[i + 1], &flags.jobs))) {
      return false;
    }
  }
  return argc % 2 == 1;
}

class Driver {
 public:
  Driver(const Flags& flags, uint64_t seed) : flags_(flags), seed_(seed) {}

  bool Run() {
    std::vector<std::thread> threads;
    for (int i = 0; i < flags_.jobs; ++i) threads.emplace_back([this] { Work(); });
    for (std::thread& thread : threads) thread.join();
    MutexLock lock(mutex_);
    if (const std::string missing = numbers_.Missing(); histories_ >= kEnough && !missing.empty()) {
      failed_ = true;
      std::printf("%llu histories had no %s\n", static_cast<unsigned long long>(histories_), missing.c_str());
    }
    std::printf("%s\n", numbers_.ToText().c_str());
    std::printf(
        "%llu histories, %llu boundaries, %llu images, %zu distinct: %llu of first cuts, %llu of second cuts, "
        "%.1f s%s\n",
        static_cast<unsigned long long>(histories_), static_cast<unsigned long long>(swept_.boundaries),
        static_cast<unsigned long long>(swept_.images), distinct_.count(),
        static_cast<unsigned long long>(swept_.judged - swept_.second_cuts),
        static_cast<unsigned long long>(swept_.second_cuts), Seconds(), failed_ ? ", FAILED" : "");
    return !failed_;
  }

 private:
  static constexpr uint64_t kEnough = 100;  // Histories in which everything happens.

  double Seconds() const { return std::chrono::duration<double>(SteadyClock::now() - began_).count(); }
  bool Done() const {
    return failed_ || (flags_.hours > 0 ? Seconds() >= flags_.hours * 3600 : first_cuts_ >= flags_.images);
  }

  void Work() {
    while (!Done()) {
      const uint64_t seed = seed_ + next_.fetch_add(1);
      const RecordedHistory history = RecordHistory(seed, flags_.steps);
      CrashSweep sweep(history, {.seed = seed}, distinct_);
      const std::string wrong = sweep.Run();
      MutexLock lock(mutex_);
      ++histories_;
      numbers_ += history.numbers;
      swept_ += sweep.numbers();
      first_cuts_ += sweep.numbers().judged - sweep.numbers().second_cuts;
      if (wrong.empty()) continue;
      failed_ = true;
      std::printf("history of seed %llu: %s\nrepeat with --seed %llu --images 1 --steps %d\n",
                  static_cast<unsigned long long>(seed), wrong.c_str(), static_cast<unsigned long long>(seed),
                  flags_.steps);
    }
  }

  const Flags flags_;
  const uint64_t seed_;
  const SteadyClock::time_point began_ = SteadyClock::now();
  DistinctImages distinct_;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> first_cuts_{0};
  std::atomic<bool> failed_{false};
  Mutex mutex_;
  uint64_t histories_ ABSL_GUARDED_BY(mutex_) = 0;
  HistoryNumbers numbers_ ABSL_GUARDED_BY(mutex_);
  SweepNumbers swept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace
}  // namespace dmcached

int main(int argc, char** argv) {
  dmcached::Flags flags;
  if (!dmcached::ParseFlags(argc, argv, flags)) {
    std::fprintf(stderr, "usage: %s [--seed N] [--images N | --hours H] [--steps N] [--jobs N]\n", argv[0]);
    return 2;
  }
  const uint64_t seed = flags.seed.has_value() ? *flags.seed : dmcached::TestSeed();
  return dmcached::Driver(flags, seed).Run() ? 0 : 1;
}
