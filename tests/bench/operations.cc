// What an operation costs when cblocks come in order: processor time of applying it, of the commits that make it
// durable, and bytes written.
#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/device/memory_device.h"
#include "tests/bench/cases.h"
#include "tests/bench/loaded_cache.h"

namespace dmcached::bench {
namespace {

constexpr size_t kBatch = 4096;
constexpr size_t kPerCommit = 4 * kBatch;

using Cblocks = std::span<const uint32_t>;
using Oblocks = std::span<const uint64_t>;

struct Operation {
  const char* name;
  bool mutates;
  std::function<void(LoadedCache&, Cblocks, Oblocks)> apply;
  std::vector<double> apply_ns = {};
  std::vector<double> all_ns = {};  // With the commits.
  std::vector<double> bytes = {};
};

uint64_t WrittenBytes(LoadedCache& cache) {
  return cache.metadata().device()->stats().op(DeviceOp::kWrite).bytes.load(std::memory_order_relaxed);
}

// Applies it to all items in order, with a commit every kPerCommit.
void RunOnce(LoadedCache& cache, Cblocks cblocks, Oblocks oblocks, Operation& operation) {
  double applying = 0;
  const uint64_t written = WrittenBytes(cache);
  const double begin = ThreadCpu();
  for (size_t at = 0; at + kPerCommit <= cblocks.size(); at += kPerCommit) {
    const double applied = ThreadCpu();
    for (size_t batch = at; batch < at + kPerCommit; batch += kBatch) {
      operation.apply(cache, cblocks.subspan(batch, kBatch), oblocks.subspan(batch, kBatch));
    }
    applying += ThreadCpu() - applied;
    if (operation.mutates) cache.Commit();
  }
  const auto items = static_cast<double>(cblocks.size() - cblocks.size() % kPerCommit);
  operation.all_ns.push_back((ThreadCpu() - begin) * 1e9 / items);
  operation.apply_ns.push_back(applying * 1e9 / items);
  operation.bytes.push_back(static_cast<double>(WrittenBytes(cache) - written) / items);
}

void AtSize(Run& run, uint32_t mebi) {
  const uint32_t cblocks = mebi << 20;
  // The lower half stays mapped; what is removed was inserted in the same round.
  const uint64_t device_bytes = uint64_t{cblocks} * 18 + (64 << 20);
  LoadedCache cache(std::make_shared<MemoryDevice>(device_bytes), 2, cblocks, cblocks / 2, device_bytes);
  const size_t work = std::min<size_t>(run.Work(1 << 20, 1 << 18), cblocks / 2);
  std::vector<uint32_t> mapped(work), unmapped(work);
  std::iota(mapped.begin(), mapped.end(), 0);
  std::iota(unmapped.begin(), unmapped.end(), cblocks / 2);
  std::vector<uint64_t> mapped_to, unmapped_to;
  for (const uint32_t cblock : mapped) mapped_to.push_back(cache.OblockOf(cblock));
  for (const uint32_t cblock : unmapped) unmapped_to.push_back(cache.OblockOf(cblock));
  std::array<Operation, 6> operations = {{
      {"mark", true, [](LoadedCache& c, Cblocks from, Oblocks) { c.Mark(from); }},
      {"clear", true, [](LoadedCache& c, Cblocks from, Oblocks to) { c.Clear(from, to); }},
      {"insert", true, [](LoadedCache& c, Cblocks from, Oblocks to) { c.Insert(from, to); }},
      {"remove", true, [](LoadedCache& c, Cblocks from, Oblocks to) { c.Remove(from, to); }},
      {"look-up by cblock", false, [](LoadedCache& c, Cblocks from, Oblocks) { c.LookupCblocks(from); }},
      {"look-up by oblock", false, [](LoadedCache& c, Cblocks, Oblocks to) { c.LookupOblocks(to); }},
  }};
  for (size_t round = 0; round < run.Rounds(5); ++round) {
    for (Operation& operation : operations) {
      const bool others = operation.name == std::string("insert") || operation.name == std::string("remove");
      RunOnce(cache, others ? unmapped : mapped, others ? unmapped_to : mapped_to, operation);
    }
  }
  for (const Operation& operation : operations) {
    const std::string name = absl::StrCat(operation.name, " in order, ", mebi, "Mi");
    run.Add(name, Median(operation.apply_ns), "ns");
    if (!operation.mutates) continue;
    run.Add(absl::StrCat(name, ", with commits"), Median(operation.all_ns) / 1e3, "s/million");
    run.Add(absl::StrCat(name, ", written"), Median(operation.bytes), "bytes");
  }
}

}  // namespace

void Operations(Run& run) {
  AtSize(run, 1);
  AtSize(run, static_cast<uint32_t>(run.Work(16, 4)));
}

}  // namespace dmcached::bench
