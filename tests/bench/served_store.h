// The engine as the daemon runs it, with its own threads, on one metadata file; calls wait for their answers.
#ifndef DMCACHED_TESTS_BENCH_SERVED_STORE_H_
#define DMCACHED_TESTS_BENCH_SERVED_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/cache/engine.h"
#include "server/executor.h"
#include "server/system_clock.h"
#include "tests/bench/mark_store.h"
#include "tests/bench/run.h"

namespace dmcached::bench {

// A new file of four times what is live, as a plan recommends, on an origin twice as large as the cache.
std::string NewServedFile(Run& run, uint32_t version, uint32_t cblocks);

class ServedStore : public MarkStore {  // Thread-safe.
 public:
  // Formats the file at `path` and maps every cblock.
  ServedStore(const std::string& path, uint32_t version, uint32_t cblocks, EngineOptions options = {});
  ~ServedStore() override;

  void MarkDurably(std::span<const uint32_t> cblocks) override;
  void ClearAll() override;

  // Gives up on an error.
  MutationResult Apply(const Mutation& mutation, bool durable);
  // Returns at once; `done` comes when it is durable.
  void ApplyDurably(Mutation mutation, std::function<void()> done);
  LookupResult Lookup(const LookupRequest& request);
  Engine& engine() { return *engine_; }
  // Written to the metadata device since the start.
  uint64_t written_bytes() const;

  static constexpr char kName[] = "bench";
  // What cblocks are mapped to.
  static uint64_t OblockOf(uint32_t cblock, uint32_t cblocks);

 private:
  using Cblocks = std::span<const uint32_t>;
  using Oblocks = std::span<const uint64_t>;

  void ApplyToAll(const std::function<Mutation(Cblocks, Oblocks)>& make);

  const uint32_t cblocks_;
  SystemClock clock_;
  ThreadExecutorFactory executors_;
  ThreadPool readers_{"readers", 2, 1024};
  std::unique_ptr<Engine> engine_;
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_SERVED_STORE_H_
