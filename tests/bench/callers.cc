// 1 to 64 callers that each wait for their own call of one item.
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/cases.h"
#include "tests/bench/served_store.h"

namespace dmcached::bench {
namespace {

constexpr uint32_t kCblocks = 1000000;
constexpr uint32_t kMaxCallers = 64;

struct Outcome {
  double rate = 0;
  std::vector<double> seconds;  // Of every call.
  double cpu_of_million = 0;
};

// Caller c goes through its own share of the cblocks.
Outcome CallAll(uint32_t callers, uint32_t calls, const std::function<void(uint32_t cblock)>& call) {
  std::vector<std::vector<double>> seconds(callers);
  const auto caller = [&](uint32_t number) {
    for (uint32_t i = 0; i < calls; ++i) {
      const double begin = Now();
      call(number * (kCblocks / kMaxCallers) + i);
      seconds[number].push_back(Now() - begin);
    }
  };
  const double cpu_before = ProcessCpu();
  const double begin = Now();
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < callers; ++i) threads.emplace_back(caller, i);
  for (std::thread& thread : threads) thread.join();
  Outcome outcome;
  const double count = static_cast<double>(callers) * calls;
  outcome.rate = count / (Now() - begin);
  outcome.cpu_of_million = (ProcessCpu() - cpu_before) / count * 1e6;
  for (const auto& one : seconds) outcome.seconds.insert(outcome.seconds.end(), one.begin(), one.end());
  return outcome;
}

void AddRows(Run& run, const std::string& what, uint32_t callers, const Outcome& outcome) {
  run.Add(absl::StrCat(what, ", callers: ", callers), outcome.rate, "calls/s");
  run.Add("  p50", Quantile(outcome.seconds, 0.5) * 1e6, "us");
  run.Add("  p99", Quantile(outcome.seconds, 0.99) * 1e6, "us");
  run.Add("  processor time of a million", outcome.cpu_of_million, "s");
}

}  // namespace

void Callers(Run& run) {
  ServedStore store(NewServedFile(run, 2, kCblocks), 2, kCblocks);
  for (const uint32_t callers : {1u, 4u, 16u, kMaxCallers}) {
    const auto calls = static_cast<uint32_t>(run.Work(400, 100));
    AddRows(run, "durable marks", callers, CallAll(callers, calls, [&](uint32_t cblock) {
              store.Apply(MarkDirty{std::span(&cblock, 1)}, /*durable=*/true);
            }));
    store.ClearAll();
    const auto lazy_calls = static_cast<uint32_t>(run.Work(100000, 20000)) / callers;
    AddRows(run, "marks answered when applied", callers, CallAll(callers, lazy_calls, [&](uint32_t cblock) {
              store.Apply(MarkDirty{std::span(&cblock, 1)}, /*durable=*/false);
            }));
    store.ClearAll();
  }
}

}  // namespace dmcached::bench
