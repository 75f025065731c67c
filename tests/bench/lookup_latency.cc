// Look-ups while commits run without pause, beside look-ups while a thread burns as much processor time and commits
// nothing.
#include <atomic>
#include <chrono>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "tests/bench/cases.h"
#include "tests/bench/served_store.h"

namespace dmcached::bench {
namespace {

constexpr uint32_t kCblocks = 1000000;
constexpr size_t kMarks = 1000;

// What the other side does a commit.
struct Load {
  double period = 0;  // Seconds from one commit to the next ...
  double cpu = 0;     // ... and of processor time in it.
};

class Trial {
 public:
  Trial(ServedStore& store, double seconds) : store_(store), seconds_(seconds), order_(kCblocks) {
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), generator_);
  }

  // Both: seconds that 99 of 100 look-ups do not exceed.
  double BesideCommits() {
    uint64_t commits = 0;
    const double cpu_before = ProcessCpu();
    const double begin = Now();
    double lookup_cpu = 0;
    const std::vector<double> took = Beside([&] { Commit(), ++commits; }, lookup_cpu);
    if (load_.period > 0) p999_.push_back(Quantile(took, 0.999));  // Not of the first, which warms up.
    load_.period = (Now() - begin) / static_cast<double>(commits);
    load_.cpu = (ProcessCpu() - cpu_before - lookup_cpu) / static_cast<double>(commits);
    return Quantile(took, 0.99);
  }
  double BesideBurning() {
    double lookup_cpu = 0;
    return Quantile(Beside([&] { Burn(); }, lookup_cpu), 0.99);
  }
  // Seconds that 999 of 1000 look-ups beside commits do not exceed.
  double P999() const { return Quantile(p999_, 0.5); }
  const Load& load() const { return load_; }

 private:
  // Looks up while another thread calls `work` again and again.
  template <typename Work>
  std::vector<double> Beside(Work work, double& lookup_cpu) {
    std::atomic<bool> stop{false};
    std::thread worker([&] {
      while (!stop.load()) work();
    });
    std::vector<double> took;
    const double cpu_before = ThreadCpu();
    const double end = Now() + seconds_;
    for (double begin = 0; begin < end;) {
      const auto cblock = static_cast<uint32_t>(generator_() % kCblocks);
      begin = Now();
      store_.Lookup({.cblocks = std::span(&cblock, 1), .oblocks = {}, .durable = false});
      took.push_back(Now() - begin);
    }
    lookup_cpu = ThreadCpu() - cpu_before;
    stop = true;
    worker.join();
    return took;
  }
  void Commit() {
    if (used_ + kMarks > order_.size()) {
      store_.ClearAll();
      used_ = 0;
    }
    store_.MarkDurably(std::span(order_).subspan(used_, kMarks));
    used_ += kMarks;
  }
  void Burn() const {
    const double begin = Now();
    const double until = ThreadCpu() + load_.cpu;
    while (ThreadCpu() < until) continue;
    const double left = load_.period - (Now() - begin);
    if (left > 0) std::this_thread::sleep_for(std::chrono::duration<double>(left));
  }

  ServedStore& store_;
  const double seconds_;
  std::mt19937_64 generator_{1};
  std::vector<uint32_t> order_;
  size_t used_ = 0;
  Load load_;
  std::vector<double> p999_;
};

}  // namespace

void LookupLatency(Run& run) {
  ServedStore store(NewServedFile(run, 2, kCblocks), 2, kCblocks);
  Trial trial(store, run.quick() ? 0.5 : 1.5);
  trial.BesideCommits();  // Before anything is burnt, it must be known how much.
  const Rounds rounds(run.Rounds(9),
                      {[&] { return trial.BesideCommits() * 1e6; }, [&] { return trial.BesideBurning() * 1e6; }});
  run.Compare("p99 of a look-up while commits run without pause", rounds, 0, 1, "us", "the same CPU burnt",
              AtMost(1.5));
  run.Add("  p99.9 beside commits", trial.P999() * 1e6, "us");
  run.Add("  a commit", trial.load().period * 1e6, "us");
  run.Add("  processor time of it", trial.load().cpu * 1e6, "us");
}

}  // namespace dmcached::bench
