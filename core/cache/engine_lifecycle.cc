// Engine: which lifecycle operation may run on a name, and what is left when it is over.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/cache/cache_ending.h"
#include "core/cache/cache_environment.h"
#include "core/cache/engine.h"
#include "core/cache/served_cache.h"

namespace dmcached {
namespace {

constexpr size_t kMaxNameLength = 63;

// [a-z0-9][a-z0-9-]{0,62}
absl::Status CheckName(const std::string& name) {
  const auto allowed = [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           c == '-';
  };
  if (!name.empty() && name.size() <= kMaxNameLength && name[0] != '-' &&
      std::all_of(name.begin(), name.end(), allowed)) {
    return absl::OkStatus();
  }
  return MakeError(Reason::kInvalidRequest,
                   absl::StrCat("\"", name.substr(0, kMaxNameLength), "\" is no name of a cache: it needs 1 to ",
                                kMaxNameLength, " of a-z, 0-9 and -, and does not begin with -"));
}

absl::Status CheckPath(const char* which, const std::string& path, bool required) {
  if (path.empty() ? !required : path[0] == '/') return absl::OkStatus();
  return MakeError(Reason::kInvalidRequest, absl::StrCat(which, " path \"", path, "\": it must be absolute"));
}

template <typename Options>
absl::Status CheckRequest(const Options& options, bool path_required) {
  DMCACHED_RETURN_IF_ERROR(CheckName(options.name));
  DMCACHED_RETURN_IF_ERROR(CheckPath("metadata", options.metadata_path, path_required));
  DMCACHED_RETURN_IF_ERROR(CheckPath("fast", options.fast_path, false));
  return CheckPath("origin", options.origin_path, false);
}

absl::Status Pending(const std::string& name) {
  return MakeError(Reason::kOperationPending,
                   absl::StrCat("an open, close, resize or delete of cache ", name, " is under way"));
}

absl::Status NotOpen(const std::string& name) {
  return MakeError(Reason::kCacheNotOpen, absl::StrCat("there is no cache ", name));
}

absl::Status Exists(const std::string& name, const ServedCache& cache) {
  const bool failed = cache.state() == CacheState::kFailed;
  return MakeError(Reason::kCacheExists,
                   absl::StrCat("cache ", name, failed ? " is open and has failed: recover it" : " is open already"));
}

}  // namespace

Engine::CacheOr Engine::Begin(const std::string& name) {
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckTakingWork());
  const auto found = caches_.find(name);
  if (found == caches_.end()) return NotOpen(name);
  if (std::exchange(found->second.busy, true)) return Pending(name);
  return found->second.cache;
}

Engine::CacheOr Engine::BeginNew(const std::string& name) {
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckTakingWork());
  const auto found = caches_.find(name);
  if (found != caches_.end()) {
    if (found->second.busy) return Pending(name);
    return Exists(name, *found->second.cache);
  }
  SerialPair executors = environment_->executors.NewSerialPair(absl::StrCat("dmc-", name));
  if (executors.first == nullptr) {
    return MakeError(Reason::kOverloaded, absl::StrCat("the system has no threads left for cache ", name));
  }
  auto cache = std::make_shared<ServedCache>(*environment_, name, std::move(executors));
  Entry& entry = caches_[name];
  entry.cache = cache;
  entry.busy = true;
  return cache;
}

Engine::CacheOr Engine::BeginOpen(const OpenOptions& options) {
  {
    MutexLock lock(mutex_);
    DMCACHED_RETURN_IF_ERROR(CheckTakingWork());
    const auto found = caches_.find(options.name);
    if (found == caches_.end()) {
      DMCACHED_RETURN_IF_ERROR(CheckPath("metadata", options.metadata_path, true));
    } else if (!found->second.busy) {
      const ServedCache& cache = *found->second.cache;
      const bool again = cache.state() == CacheState::kFailed && (options.recover || !cache.was_open());
      if (!again) return Exists(options.name, cache);
      found->second.busy = true;
      return found->second.cache;
    }
  }
  return BeginNew(options.name);
}

Engine::CacheOr Engine::BeginResize(const std::string& name, const std::string& request_id) {
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckTakingWork());
  const auto found = caches_.find(name);
  if (found == caches_.end()) return NotOpen(name);
  Entry& entry = found->second;
  const bool repeat = entry.resizes != 0 && !request_id.empty() && request_id == entry.resize_id;
  if (entry.busy && !repeat) return Pending(name);
  entry.busy = true;
  entry.resize_id = request_id;
  ++entry.resizes;
  return entry.cache;
}

void Engine::EndResize(const std::string& name) {
  {
    MutexLock lock(mutex_);
    const auto found = caches_.find(name);
    DMCACHED_CHECK(found != caches_.end() && found->second.resizes != 0);
    if (--found->second.resizes != 0) return;
  }
  End(name, /*gone=*/false);
}

Engine::CacheOr Engine::BeginDueRecovery(const std::string& name, const ServedCache& cache) {
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckTakingWork());
  const auto found = caches_.find(name);
  // Somebody may have recovered or closed it since the caller looked.
  const bool same = found != caches_.end() && found->second.cache.get() == &cache;
  if (!same || found->second.busy || cache.state() != CacheState::kFailed) return Pending(name);
  found->second.busy = true;
  return found->second.cache;
}

void Engine::End(const std::string& name, bool gone) {
  std::shared_ptr<ServedCache> to_close;
  {
    MutexLock lock(mutex_);
    const auto found = caches_.find(name);
    DMCACHED_CHECK(found != caches_.end() && found->second.busy);
    if (gone) {
      graveyard_.push_back(std::move(found->second.cache));
      caches_.erase(found);
    } else if (shutting_down_) {
      to_close = found->second.cache;
    } else {
      found->second.busy = false;
    }
  }
  if (to_close != nullptr) return CloseForShutdown(name, *to_close, /*discard=*/false);
  FinishShutdown();
}

void Engine::Create(CreateOptions options, Callback<absl::StatusOr<CacheInfo>> done) {
  const absl::Status valid = CheckRequest(options, /*path_required=*/true);
  CacheOr cache = valid.ok() ? BeginNew(options.name) : CacheOr(valid);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<CacheInfo>(std::move(cache).status()));
  const std::string name = options.name;
  const bool kept = !options.validate_only;
  (*cache)->Create(std::move(options),
                   [this, name, kept, done = std::move(done)](absl::StatusOr<CacheInfo> result) mutable {
                     End(name, /*gone=*/!kept || !result.ok());
                     std::move(done)(std::move(result));
                   });
}

void Engine::Open(OpenOptions options, Callback<absl::StatusOr<OpenResult>> done) {
  const absl::Status valid = CheckRequest(options, /*path_required=*/false);
  CacheOr cache = valid.ok() ? BeginOpen(options) : CacheOr(valid);
  if (!cache.ok()) return Answer(std::move(done), absl::StatusOr<OpenResult>(std::move(cache).status()));
  const std::string name = options.name;
  const bool first = !(*cache)->was_open();
  // One that was kept before stays, whatever this attempt brings.
  const bool kept = !first || options.keep_if_failed || (*cache)->state() == CacheState::kFailed;
  Callback<absl::StatusOr<OpenResult>> ended = [this, name, kept,
                                                done = std::move(done)](absl::StatusOr<OpenResult> result) mutable {
    End(name, /*gone=*/!kept && !result.ok());
    std::move(done)(std::move(result));
  };
  if (first) return (*cache)->Open(std::move(options), std::move(ended));
  (*cache)->Recover(std::move(options), std::move(ended));
}

void Engine::Close(const std::string& name, CloseOptions options, Callback<absl::Status> done) {
  EndCache(name, {.require_no_dirty = options.require_no_dirty, .discard_uncommitted = options.discard_uncommitted},
           std::move(done));
}

void Engine::Delete(const std::string& name, DeleteOptions options, Callback<absl::Status> done) {
  // Of a failed cache it is not known what is dirty.
  EndCache(
      name,
      {.require_no_dirty = !options.discard_dirty, .discard_uncommitted = options.discard_dirty, .wipe = options.wipe},
      std::move(done));
}

void Engine::EndCache(const std::string& name, CacheEnding how, Callback<absl::Status> done) {
  CacheOr cache = Begin(name);
  if (!cache.ok()) return Answer(std::move(done), std::move(cache).status());
  (*cache)->Close(how, [this, name, done = std::move(done)](absl::Status status) mutable {
    End(name, /*gone=*/status.ok());
    std::move(done)(std::move(status));
  });
}

void Engine::Tick() {
  std::vector<std::shared_ptr<ServedCache>> dead;
  std::vector<std::pair<std::string, std::shared_ptr<ServedCache>>> caches;
  {
    MutexLock lock(mutex_);
    // Nobody else can get hold of one any more, so one that is free stays free.
    const auto held =
        std::partition(graveyard_.begin(), graveyard_.end(), [](const auto& cache) { return cache.use_count() > 1; });
    dead.assign(std::make_move_iterator(held), std::make_move_iterator(graveyard_.end()));
    graveyard_.erase(held, graveyard_.end());
    for (const auto& [name, entry] : caches_) caches.emplace_back(name, entry.cache);
  }
  dead.clear();
  for (const auto& [name, cache] : caches) {
    cache->Tick();
    if (!cache->RecoveryIsDue() || !BeginDueRecovery(name, *cache).ok()) continue;
    cache->Recover({}, [this, name = name](const absl::StatusOr<OpenResult>&) { End(name, /*gone=*/false); });
  }
}

void Engine::Shutdown(Callback<absl::Status> done) {
  std::vector<std::pair<std::string, std::shared_ptr<ServedCache>>> idle;
  {
    MutexLock lock(mutex_);
    shutting_down_ = true;
    shutdown_done_ = std::move(done);
    // The others are closed when their operation is over.
    for (auto& [name, entry] : caches_) {
      if (!std::exchange(entry.busy, true)) idle.emplace_back(name, entry.cache);
    }
  }
  for (auto& [name, cache] : idle) CloseForShutdown(name, *cache, /*discard=*/false);
  FinishShutdown();
}

void Engine::CloseForShutdown(const std::string& name, ServedCache& cache, bool discard) {
  // The map holds the cache until End.
  cache.Close({.discard_uncommitted = discard}, [this, name, discard, &cache](const absl::Status& status) {
    {
      MutexLock lock(mutex_);
      if (shutdown_status_.ok()) shutdown_status_ = status;
    }
    if (status.ok()) return End(name, /*gone=*/true);
    // What could not be committed is lost; its devices are let go of all the same.
    DMCACHED_CHECK(!discard);
    CloseForShutdown(name, cache, /*discard=*/true);
  });
}

void Engine::FinishShutdown() {
  MutexLock lock(mutex_);
  if (!shutting_down_ || !caches_.empty() || shutdown_done_ == nullptr) return;
  Answer(std::exchange(shutdown_done_, nullptr), shutdown_status_);
}

}  // namespace dmcached
