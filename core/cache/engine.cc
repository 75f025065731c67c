#include "core/cache/engine.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_environment.h"
#include "core/cache/cache_metadata.h"
#include "core/cache/served_cache.h"

namespace dmcached {
namespace {

// splitmix64: any seed gives a full-period sequence.
uint64_t NextRandom(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Engine::Engine(EngineOptions options, DeviceOpener opener, const Clock& clock, ExecutorFactory& executors,
               Executor& readers)
    : options_(options),
      opener_(std::move(opener)),
      clock_(clock),
      executors_(executors),
      readers_(readers),
      answers_(executors.NewSerialExecutor("dmc-answers")),
      commit_helper_(executors.NewSerialExecutor("dmc-commits")),
      random_(options.seed) {
  environment_ = std::make_unique<CacheEnvironment>(CacheEnvironment{
      .options = options_,
      .opener = opener_,
      .clock = clock_,
      .executors = executors_,
      .readers = readers_,
      .commit_helper = *commit_helper_,
      .answers = *answers_,
      .random =
          [this] {
            MutexLock lock(random_mutex_);
            uint64_t value = 0;
            while (value == 0) value = NextRandom(random_);
            return value;
          },
  });
}

Engine::~Engine() {
  std::vector<std::shared_ptr<ServedCache>> last;
  {
    MutexLock lock(mutex_);
    shutting_down_ = true;
    // The entries stay: what is under way still ends, on the queues of the caches that go now.
    for (auto& [name, entry] : caches_) last.push_back(std::move(entry.cache));
    for (auto& dead : std::exchange(graveyard_, {})) last.push_back(std::move(dead));
  }
  last.clear();
}

absl::Status Engine::CheckTakingWork() const {
  if (!shutting_down_) return absl::OkStatus();
  return MakeError(Reason::kShuttingDown, "the service is shutting down");
}

Engine::CacheOr Engine::FindAny(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = caches_.find(name);
  if (found != caches_.end() && found->second.cache != nullptr) return found->second.cache;
  return MakeError(Reason::kCacheNotOpen, absl::StrCat("there is no cache ", name));
}

Engine::CacheOr Engine::Find(const std::string& name) const {
  {
    MutexLock lock(mutex_);
    DMCACHED_RETURN_IF_ERROR(CheckTakingWork());
  }
  return FindAny(name);
}

std::vector<std::shared_ptr<ServedCache>> Engine::Caches() const {
  MutexLock lock(mutex_);
  std::vector<std::shared_ptr<ServedCache>> caches;
  for (const auto& [name, entry] : caches_) {
    if (entry.cache != nullptr) caches.push_back(entry.cache);
  }
  return caches;
}

absl::StatusOr<CacheInfo> Engine::Get(const std::string& name) const {
  DMCACHED_ASSIGN_OR_RETURN(const auto cache, FindAny(name));
  return cache->Info();
}

std::vector<CacheInfo> Engine::List() const {
  std::vector<CacheInfo> infos;
  for (const auto& cache : Caches()) infos.push_back(cache->Info());
  return infos;
}

std::vector<CacheMetrics> Engine::Metrics() const {
  std::vector<CacheMetrics> metrics;
  for (const auto& cache : Caches()) metrics.push_back(cache->Metrics());
  return metrics;
}

void Engine::Probe(const std::string& path, Callback<absl::StatusOr<ProbeResult>> done) {
  const auto shared = std::make_shared<Callback<absl::StatusOr<ProbeResult>>>(std::move(done));
  const bool taken = readers_.Schedule([opener = opener_, path, shared] {
    const auto probe = [&]() -> absl::StatusOr<ProbeResult> {
      DMCACHED_ASSIGN_OR_RETURN(
          const auto device,
          opener({.path = path, .read_only = true, .exclusive = false, .cached = false, .allocate = false}));
      ProbeResult result;
      result.device_bytes = device->size_bytes();
      DMCACHED_ASSIGN_OR_RETURN(result.superblock, CacheMetadata::Probe(*device));
      return result;
    };
    std::move (*shared)(probe());
  });
  if (taken) return;
  Answer(std::move(*shared), absl::StatusOr<ProbeResult>(
                                 MakeError(Reason::kOverloaded, absl::StrCat("probe ", path, ": too much is queued"))));
}

void Engine::Apply(const std::string& name, Mutation mutation, Conditions conditions,
                   Callback<absl::StatusOr<MutationResult>> done) {
  if (!std::holds_alternative<Resize>(mutation)) {
    CacheOr cache = Find(name);
    if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<MutationResult>(std::move(cache).status()));
    return (*cache)->Apply(std::move(mutation), std::move(conditions), std::move(done));
  }
  CacheOr cache = BeginResize(name, conditions.request_id);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<MutationResult>(std::move(cache).status()));
  (*cache)->Apply(std::move(mutation), std::move(conditions),
                  [this, name, done = std::move(done)](absl::StatusOr<MutationResult> result) mutable {
                    EndResize(name);
                    std::move(done)(std::move(result));
                  });
}

void Engine::WhenDurable(const std::string& name, uint64_t incarnation, uint64_t transaction, bool start,
                         Callback<absl::StatusOr<uint64_t>> done) {
  // Also while shutting down: what was accepted is finished.
  CacheOr cache = FindAny(name);
  if (!cache.ok()) {
    return Answer(std::move(done), absl::StatusOr<uint64_t>(ServedCache::NobodyKnows(name, incarnation)));
  }
  (*cache)->WhenDurable(incarnation, transaction, start, std::move(done));
}

void Engine::Commit(const std::string& name, bool clean_shutdown, Callback<absl::StatusOr<MutationResult>> done) {
  CacheOr cache = Find(name);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<MutationResult>(std::move(cache).status()));
  (*cache)->Commit(clean_shutdown, std::move(done));
}

void Engine::Lookup(const std::string& name, LookupRequest request, Callback<absl::StatusOr<LookupResult>> done) {
  CacheOr cache = Find(name);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<LookupResult>(std::move(cache).status()));
  (*cache)->Lookup(request, std::move(done));
}

absl::StatusOr<Stats> Engine::GetStats(const std::string& name) const {
  DMCACHED_ASSIGN_OR_RETURN(const auto cache, Find(name));
  return cache->GetStats();
}

void Engine::Reserve(const std::string& name, uint32_t count, Duration ttl, std::function<bool()> abandoned,
                     Callback<absl::StatusOr<Reservation>> done) {
  CacheOr cache = Find(name);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<Reservation>(std::move(cache).status()));
  (*cache)->Reserve(count, ttl, std::move(abandoned), std::move(done));
}

void Engine::Release(const std::string& name, uint64_t reservation, Callback<absl::StatusOr<uint32_t>> done) {
  CacheOr cache = Find(name);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<uint32_t>(std::move(cache).status()));
  (*cache)->Release(reservation, std::move(done));
}

void Engine::FinishCheck(const std::string& name, CheckVerdict verdict, Callback<absl::StatusOr<bool>> done) {
  CacheOr cache = FindAny(name);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<bool>(std::move(cache).status()));
  (*cache)->FinishCheck(std::move(verdict), std::move(done));
}

void Engine::TakeSnapshot(const std::string& name, Callback<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> done) {
  using Result = absl::StatusOr<std::shared_ptr<CacheSnapshot>>;
  CacheOr cache = Find(name);
  if (!cache.ok()) return Answer(std::move(done), Result(std::move(cache).status()));
  (*cache)->TakeSnapshot(std::move(done));
}

}  // namespace dmcached
