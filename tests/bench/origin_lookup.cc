// Look-ups by origin block, one a call, everything in memory.
#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/device/memory_device.h"
#include "tests/bench/cases.h"
#include "tests/bench/loaded_cache.h"
#include "tests/bench/memory_latency.h"

namespace dmcached::bench {
namespace {

// Nanoseconds of this thread a look-up.
double PerLookup(LoadedCache& cache, const std::vector<uint64_t>& oblocks) {
  const double begin = ThreadCpu();
  for (const uint64_t& oblock : oblocks) cache.LookupOblocks({&oblock, 1});
  return (ThreadCpu() - begin) * 1e9 / static_cast<double>(oblocks.size());
}

}  // namespace

void OriginLookup(Run& run) {
  constexpr uint32_t kCblocks = 10000000;
  constexpr uint64_t kDeviceBytes = uint64_t{kCblocks} * 20 + (64 << 20);
  LoadedCache cache(std::make_shared<MemoryDevice>(kDeviceBytes), 2, kCblocks, kCblocks, kDeviceBytes);
  std::mt19937_64 random(1);
  std::vector<uint64_t> mapped, unmapped;
  for (uint64_t i = 0; i < run.Work(1000000, 300000); ++i) {
    mapped.push_back(cache.OblockOf(random() % kCblocks));
    unmapped.push_back(cache.OblockOf(kCblocks + random() % (kCblocks - 1)));
  }
  PerLookup(cache, mapped);  // Every block is in memory after this.
  // As much as the index and the mappings take.
  MemoryLatency memory(uint64_t{kCblocks} * 15);
  const Rounds rounds(run.Rounds(7),
                      {[&] { return PerLookup(cache, mapped); }, [&] { return PerLookup(cache, unmapped); },
                       [&] { return memory.Dependent(mapped.size()); }});
  run.Add("hit, 10M mappings", rounds.Median(0), "ns", AtMost(80));
  run.Add("miss, 10M mappings", rounds.Median(1), "ns", AtMost(60));
  run.Compare("  hit", rounds, 0, 2, "ns", "a dependent read");
  run.Compare("  miss", rounds, 1, 2, "ns", "a dependent read");
}

}  // namespace dmcached::bench
