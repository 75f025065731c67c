// What becomes dearer when a cache is large, under the same block cache.
#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/executor.h"
#include "server/system_clock.h"
#include "tests/bench/cases.h"
#include "tests/bench/committer.h"
#include "tests/bench/walks.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kBlockCacheBytes = 64 << 20;
constexpr uint32_t kWorkingSet = 1 << 20;  // Cblocks: their blocks fit.
constexpr size_t kBatch = 4096;

uint64_t DeviceBytes(uint32_t cblocks) { return uint64_t{cblocks} * 16 + (64 << 20); }

// One cache, and the working set's cblocks in random order.
struct Subject {
  Committer committer;
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;

  Subject(Run& run, uint32_t size)
      : committer(run, 2, size, DeviceBytes(size), kBlockCacheBytes), cblocks(kWorkingSet) {
    std::iota(cblocks.begin(), cblocks.end(), 0);
    std::shuffle(cblocks.begin(), cblocks.end(), std::mt19937_64(3));
    cblocks.resize(kWorkingSet / 4);
    for (const uint32_t cblock : cblocks) oblocks.push_back(committer.cache().OblockOf(cblock));
  }

  // Nanoseconds of this thread per item; commits, which make room, are not counted.
  template <typename Apply>
  double PerItem(Apply apply) {
    double took = 0;
    for (size_t at = 0; at + kBatch <= cblocks.size(); at += kBatch) {
      const double begin = ThreadCpu();
      apply(std::span(cblocks).subspan(at, kBatch), std::span(oblocks).subspan(at, kBatch));
      took += ThreadCpu() - begin;
      if (committer.cache().metadata().under_memory_pressure()) committer.cache().Commit();
    }
    committer.cache().Commit();
    return took * 1e9 / static_cast<double>(cblocks.size());
  }
};

void CompareApplied(Run& run, Subject& large, Subject& small, const std::string& what) {
  struct Operation {
    const char* name;
    std::function<void(LoadedCache&, std::span<const uint32_t>, std::span<const uint64_t>)> apply;
  };
  // Each brings back what the one before took away.
  const std::vector<Operation> operations = {
      {"mark", [](auto& cache, auto cblocks, auto) { cache.Mark(cblocks); }},
      {"clear", [](auto& cache, auto cblocks, auto oblocks) { cache.Clear(cblocks, oblocks); }},
      {"look-up by cblock", [](auto& cache, auto cblocks, auto) { cache.LookupCblocks(cblocks); }},
      {"remove", [](auto& cache, auto cblocks, auto oblocks) { cache.Remove(cblocks, oblocks); }},
      {"insert", [](auto& cache, auto cblocks, auto oblocks) { cache.Insert(cblocks, oblocks); }}};
  std::vector<std::vector<double>> at_large(operations.size()), at_small(operations.size());
  const auto measure = [&](Subject& subject, size_t i) {
    return subject.PerItem([&](std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks) {
      operations[i].apply(subject.committer.cache(), cblocks, oblocks);
    });
  };
  for (size_t i = 0; i < operations.size(); ++i) measure(large, i), measure(small, i);  // The blocks come into memory.
  for (size_t round = 0; round < run.Rounds(7); ++round) {
    for (size_t i = 0; i < operations.size(); ++i) {
      at_large[i].push_back(measure(large, i));
      at_small[i].push_back(measure(small, i));
    }
  }
  for (size_t i = 0; i < operations.size(); ++i) {
    const Rounds rounds({at_large[i], at_small[i]});
    run.Compare(absl::StrCat(operations[i].name, ", ", what), rounds, 0, 1, "ns", "1Mi", AtMost(1.5));
  }
}

}  // namespace

void Growth(Run& run) {
  const auto mebi = static_cast<uint32_t>(run.Work(64, 16));
  const std::string what = absl::StrCat(mebi, "Mi cache blocks");
  auto small = std::make_unique<Subject>(run, 1 << 20);
  auto large = std::make_unique<Subject>(run, mebi << 20);
  CompareApplied(run, *large, *small, what);
  ContiguousWriter plain(run, 256 << 20);
  large->committer.Commit();
  const Rounds commits(
      run.Rounds(101) * (run.quick() ? 20 : 1),
      {[&] { return large->committer.Commit() * 1e6; }, [&] { return plain.Write(large->committer.bytes()) * 1e6; }});
  run.Compare(absl::StrCat("a commit of 1000 random marks, ", what), commits, 0, 1, "us", "the same bytes",
              AtMost(1.1));
  const std::string large_path = large->committer.device().name();
  const std::string small_path = small->committer.device().name();
  large.reset();
  small.reset();
  ThreadPool helpers("readers", 2, 1024);
  const SystemClock clock;
  const auto compare = [&](const char* figure, const std::function<double(const std::string&)>& seconds) {
    const Rounds rounds(run.Rounds(5), {[&] { return seconds(large_path) * 1e9 / (mebi << 20); },
                                        [&] { return seconds(small_path) * 1e9 / (1 << 20); }});
    run.Compare(absl::StrCat(figure, " per mapping, ", what), rounds, 0, 1, "ns", "1Mi", AtMost(1.5));
  };
  compare("open", [&](const std::string& path) { return OpenSeconds(path, helpers); });
  compare("check", [&](const std::string& path) { return CheckSeconds(path, helpers); });
  compare("list", [&](const std::string& path) { return ListSeconds(path, helpers, clock); });
}

}  // namespace dmcached::bench
