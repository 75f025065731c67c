// Batches of inserts through the Mutate stream, beside a server that only parses and acknowledges them.
#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/bench/cases.h"
#include "tests/bench/remote_cache.h"
#include "tests/bench/rpc_server.h"

namespace dmcached::bench {
namespace {

// The messages of one kind and round.  The oblocks are in random order; cblocks ascend, as a reservation gives them,
// or are in random order, too.
class Batches {
 public:
  Batches(uint32_t cblocks, bool random) : cblocks_(cblocks), oblocks_(cblocks) {
    std::mt19937_64 generator(1);
    std::iota(cblocks_.begin(), cblocks_.end(), 0);
    if (random) std::shuffle(cblocks_.begin(), cblocks_.end(), generator);
    std::vector<uint64_t> all(2 * uint64_t{cblocks});
    std::iota(all.begin(), all.end(), 0);
    std::shuffle(all.begin(), all.end(), generator);
    std::copy_n(all.begin(), cblocks, oblocks_.begin());
  }

  // Everything, `items` a message, with request ids that no other call has given.
  template <typename Mutation>
  std::vector<v1::MutateRequest> Make(size_t items, uint64_t incarnation, Mutation mutation) {
    std::vector<v1::MutateRequest> batches;
    for (size_t begin = 0; begin < cblocks_.size(); begin += items) {
      const size_t end = std::min(begin + items, cblocks_.size());
      v1::MutateRequest& batch = batches.emplace_back();
      batch.set_batch(batches.size());
      auto* columns = mutation(batch);
      columns->mutable_cblocks()->Add(cblocks_.begin() + begin, cblocks_.begin() + end);
      if constexpr (requires { columns->mutable_oblocks(); }) {
        columns->mutable_oblocks()->Add(oblocks_.begin() + begin, oblocks_.begin() + end);
      }
      columns->mutable_options()->set_request_id(absl::StrCat(++last_id_));
      columns->mutable_options()->set_incarnation(incarnation);
    }
    batches.front().set_cache(RemoteCache::kName);
    return batches;
  }
  std::vector<v1::MutateRequest> Inserts(size_t items, uint64_t incarnation) {
    return Make(items, incarnation, [](v1::MutateRequest& batch) { return batch.mutable_insert_mappings(); });
  }
  std::vector<v1::MutateRequest> Marks(size_t items, uint64_t incarnation) {
    return Make(items, incarnation, [](v1::MutateRequest& batch) { return batch.mutable_mark_dirty(); });
  }
  std::vector<v1::MutateRequest> Clears(uint64_t incarnation) {
    return Make(kUndoItems, incarnation, [](v1::MutateRequest& batch) { return batch.mutable_clear_dirty(); });
  }
  std::vector<v1::MutateRequest> Removals(uint64_t incarnation) {
    return Make(kUndoItems, incarnation, [](v1::MutateRequest& batch) { return batch.mutable_remove_mappings(); });
  }
  double count() const { return static_cast<double>(cblocks_.size()); }

 private:
  static constexpr size_t kUndoItems = 16384;

  std::vector<uint32_t> cblocks_;
  std::vector<uint64_t> oblocks_;
  static inline uint64_t last_id_ = 0;
};

class Contender {
 public:
  Contender(const RpcServer& server, RemoteCache& cache) : server_(server), cache_(cache) {}

  // Items a second.
  double Insert(Batches& batches, size_t items_a_batch) {
    const double rate = Rate(batches.Inserts(items_a_batch, cache_.incarnation()), batches.count());
    cache_.Mutate(batches.Removals(cache_.incarnation()));
    return rate;
  }
  // Everything is mapped.
  double Mark(Batches& batches, size_t items_a_batch) {
    const double rate = Rate(batches.Marks(items_a_batch, cache_.incarnation()), batches.count());
    cache_.Mutate(batches.Clears(cache_.incarnation()));
    return rate;
  }
  void MapAll(Batches& batches) { cache_.Mutate(batches.Inserts(kMapItems, cache_.incarnation())); }
  // Of the server, the median since the last call.
  double CpuOfMillion() { return Median(std::exchange(cpu_, {})); }

 private:
  static constexpr size_t kMapItems = 16384;

  double Rate(const std::vector<v1::MutateRequest>& messages, double count) {
    const double cpu_before = server_.Cpu();
    const double begin = Now();
    cache_.Mutate(messages);
    const double took = Now() - begin;
    cpu_.push_back((server_.Cpu() - cpu_before) / count * 1e6);
    return count / took;
  }

  const RpcServer& server_;
  RemoteCache& cache_;
  std::vector<double> cpu_;
};

// `rate`: of a contender, in items a second.
void Versus(Run& run, const std::string& figure, Contender& ours, Contender& yardstick,
            const std::function<double(Contender&)>& rate, std::optional<Target> target) {
  rate(ours);  // The blocks become resident.
  ours.CpuOfMillion();
  const Rounds rounds(run.Rounds(9), {[&] { return rate(ours); }, [&] { return rate(yardstick); }});
  run.Compare(figure, rounds, 0, 1, "items/s", "parse and acknowledge", target);
  run.Add("  server's processor time of a million", ours.CpuOfMillion(), "s");
  run.Add("  the same, parse and acknowledge", yardstick.CpuOfMillion(), "s");
}

}  // namespace

void MutateSpeed(Run& run) {
  const auto cblocks = static_cast<uint32_t>(run.Work(2000000, 1000000));
  const RpcServer daemon(RpcServer::Kind::kDaemon, run.NewPath("daemon"));
  const RpcServer idle(RpcServer::Kind::kIdle, run.NewPath("idle"));
  const RpcServer reading(RpcServer::Kind::kReading, run.NewPath("reading"));
  RemoteCache cache(daemon.channel(), run, cblocks);
  RemoteCache nothing(idle.channel());
  RemoteCache read(reading.channel());
  Contender ours(daemon, cache);
  Contender yardstick(idle, nothing);
  Contender reader(reading, read);
  for (const bool random : {false, true}) {
    Batches batches(cblocks, random);
    for (const auto& [items, bound] : {std::pair(size_t{4096}, 0.85), std::pair(size_t{1000}, 0.75)}) {
      const auto insert = [&, count = items](Contender& contender) { return contender.Insert(batches, count); };
      Versus(run, absl::StrCat(items, " inserts a batch, ", random ? "random" : "ascending", " cblocks"), ours,
             yardstick, insert, AtLeast(bound));
      const Rounds bounds(run.Rounds(9), {[&] { return insert(reader); }, [&] { return insert(yardstick); }});
      run.Compare("  parse, read a line of memory an item, acknowledge", bounds, 0, 1, "items/s",
                  "parse and acknowledge");
    }
  }
  // Marks cost the engine next to nothing: what is left is the way through the server.
  Batches batches(cblocks, /*random=*/false);
  ours.MapAll(batches);
  for (const size_t items : {4096, 1000, 100}) {
    Versus(
        run, absl::StrCat(items, " marks a batch, ascending cblocks"), ours, yardstick,
        [&](Contender& contender) { return contender.Mark(batches, items); }, std::nullopt);
  }
}

}  // namespace dmcached::bench
