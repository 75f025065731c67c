// Processor time of one random item of a batch, everything in memory.
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

constexpr size_t kBatch = 4096;

struct Bounds {
  double mark, look_up, insert, remove;
};

// Nanoseconds of this thread per item: `work(batch)` for every batch of `items`.
template <typename Items, typename Work>
double PerItem(const Items& items, Work work) {
  const double begin = ThreadCpu();
  for (size_t at = 0; at + kBatch <= items.size(); at += kBatch) work(at);
  const size_t done = items.size() - items.size() % kBatch;
  return (ThreadCpu() - begin) * 1e9 / static_cast<double>(done);
}

void AtSize(Run& run, uint32_t millions, const Bounds& bounds) {
  const uint32_t cblocks = millions * 1000000;
  // Half is mapped; the other half comes and goes.
  const uint64_t device_bytes = uint64_t{cblocks} * 40 + (64 << 20);
  LoadedCache cache(std::make_shared<MemoryDevice>(device_bytes), 2, cblocks, cblocks / 2, device_bytes);
  std::vector<uint32_t> mapped(cblocks / 2);
  std::iota(mapped.begin(), mapped.end(), 0);
  std::shuffle(mapped.begin(), mapped.end(), std::mt19937_64(1));
  std::vector<uint32_t> unmapped(cblocks / 2);
  std::iota(unmapped.begin(), unmapped.end(), cblocks / 2);
  std::shuffle(unmapped.begin(), unmapped.end(), std::mt19937_64(2));
  const size_t work = std::min<size_t>(run.Work(500000, 250000), mapped.size());
  mapped.resize(work);
  unmapped.resize(work);
  std::vector<uint64_t> mapped_to;
  for (const uint32_t cblock : mapped) mapped_to.push_back(cache.OblockOf(cblock));
  std::vector<uint64_t> unmapped_to;
  for (const uint32_t cblock : unmapped) unmapped_to.push_back(cache.OblockOf(cblock));
  const auto part = [](const auto& column, size_t at) { return std::span(column).subspan(at, kBatch); };
  std::vector<double> mark, clear, by_cblock, by_oblock, insert, remove;
  for (size_t round = 0; round < run.Rounds(5); ++round) {
    mark.push_back(PerItem(mapped, [&](size_t at) { cache.Mark(part(mapped, at)); }));
    cache.Commit();
    clear.push_back(PerItem(mapped, [&](size_t at) { cache.Clear(part(mapped, at), part(mapped_to, at)); }));
    cache.Commit();
    by_cblock.push_back(PerItem(mapped, [&](size_t at) { cache.LookupCblocks(part(mapped, at)); }));
    by_oblock.push_back(PerItem(mapped_to, [&](size_t at) { cache.LookupOblocks(part(mapped_to, at)); }));
    insert.push_back(PerItem(unmapped, [&](size_t at) { cache.Insert(part(unmapped, at), part(unmapped_to, at)); }));
    cache.Commit();
    remove.push_back(PerItem(unmapped, [&](size_t at) { cache.Remove(part(unmapped, at), part(unmapped_to, at)); }));
    cache.Commit();
  }
  // What a random item costs at least, for each line of memory that it needs.
  MemoryLatency memory(uint64_t{cblocks} * 15);
  run.Add(absl::StrCat("an independent read of memory, ", millions, "M cache blocks"), memory.Independent(work), "ns");
  const auto add = [&](const char* what, const std::vector<double>& values, std::optional<Target> target) {
    run.Add(absl::StrCat(what, ", ", millions, "M cache blocks"), Median(values), "ns", target);
  };
  add("mark", mark, AtMost(bounds.mark));
  add("clear", clear, std::nullopt);
  add("look-up by cblock", by_cblock, AtMost(bounds.look_up));
  add("look-up by oblock", by_oblock, std::nullopt);
  add("insert", insert, AtMost(bounds.insert));
  add("remove", remove, AtMost(bounds.remove));
}

}  // namespace

void ApplyCost(Run& run) {
  AtSize(run, 1, {.mark = 10, .look_up = 40, .insert = 110, .remove = 70});
  AtSize(run, 10, {.mark = 15, .look_up = 45, .insert = 120, .remove = 90});
}

}  // namespace dmcached::bench
