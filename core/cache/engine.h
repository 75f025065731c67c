// The open caches by name: the only type of the engine that a server talks to.
//
// Calls return at once; work runs on executors that the caller brings, and answers come through callbacks, each called
// exactly once, from any thread, never from inside the call itself unless said so.  The memory behind a request's spans
// stays valid until its callback.  Callbacks must not block.
// Source: core/README.md (queue, commit pipeline, acknowledgement).
#ifndef DMCACHED_CORE_CACHE_ENGINE_H_
#define DMCACHED_CORE_CACHE_ENGINE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/cache/cache_counters.h"
#include "core/cache/cache_info.h"
#include "core/cache/cache_snapshot.h"
#include "core/cache/mutation.h"
#include "core/device/block_device.h"
#include "core/device/device_request.h"
#include "core/format/superblock.h"

namespace dmcached {

class ServedCache;
struct CacheEnvironment;
struct CacheEnding;

template <typename T>
using Callback = absl::AnyInvocable<void(T) &&>;

struct EngineOptions {
  Duration commit_interval = std::chrono::seconds(1);
  Duration max_reservation_ttl = std::chrono::seconds(60);
  Duration recover_interval = std::chrono::seconds(10);  // 0: a failed cache is recovered only by request.
  uint64_t block_cache_bytes = 64u << 20;                // Per cache.
  size_t max_queued_requests = 4096;                     // Per cache, until answered; beyond it OVERLOADED.
  size_t max_queued_bytes = 256u << 20;                  // Of their columns; likewise.
  uint64_t seed = 0;                                     // Of incarnations and reservation ids; random in production.
};

struct CreateOptions {
  std::string name;
  std::string metadata_path;
  Sectors data_block_size;
  std::optional<uint32_t> cache_blocks;
  std::optional<Sectors> origin_size;
  std::string fast_path;
  std::string origin_path;
  uint32_t version = 2;
  std::string policy_name;
  std::string identity;
  DirtyTracking dirty_tracking = DirtyTracking::kExact;
  bool force = false;
  bool validate_only = false;
};

// Without a path, and for a recovery: what is left out is as when the name was configured or opened.
struct OpenOptions {
  std::string name;
  std::string metadata_path;
  bool read_only = false;
  bool assume_unclean = false;
  bool old_callers_gone = false;
  std::optional<DirtyTracking> dirty_tracking;  // Nothing: EXACT.
  std::string fast_path;
  std::string origin_path;
  std::string expected_identity;
  Sectors expected_block_size;  // 0: any.
  std::optional<Sectors> origin_size;
  bool recover = false;
  // A cache that cannot be opened stays listed as failed with its error (configured caches at start).
  bool keep_if_failed = false;
};

struct OpenResult {
  CacheInfo info;
  bool adopted = false;
};

struct CloseOptions {
  bool require_no_dirty = false;
  bool discard_uncommitted = false;
};

struct DeleteOptions {
  bool wipe = false;
  bool discard_dirty = false;
};

struct Reservation {
  uint64_t id = 0;
  std::vector<uint32_t> cblocks;
  Duration ttl{0};
  uint64_t incarnation = 0;
};

struct LookupRequest {
  std::span<const uint32_t> cblocks;  // Either these ...
  std::span<const uint64_t> oblocks;  // ... or these.
  bool durable = false;
};

struct LookupResult {  // Columns in the order asked.
  std::vector<uint8_t> mapped;
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;
  std::vector<uint8_t> dirty;
  std::vector<uint8_t> dirty_stored;  // Empty unless it may differ from `dirty`.
  std::vector<uint32_t> hints;        // Empty when hints are not valid.
  uint64_t incarnation = 0;
  uint64_t revision = 0;
  uint64_t transaction = 0;
  uint64_t durable_transaction = 0;
};

struct ProbeResult {
  std::optional<Superblock> superblock;  // Nothing: all zeros.
  uint64_t device_bytes = 0;
};

// How a check of an open cache ended.
struct CheckVerdict {
  uint64_t incarnation = 0;
  bool complete = false;           // It came to its end.
  uint64_t errors = 0;             // Findings above a note.
  absl::Status damage = {};        // A fatal one, if there is any.
  bool clear_needs_check = false;  // If nothing above a note was found.
};

// For a metrics scrape; the pointers keep counters alive, and nothing else.
struct CacheMetrics {
  std::string name;
  CacheState state = CacheState::kOpening;
  std::string policy;
  uint32_t metadata_version = 0;
  DirtyTracking dirty_tracking = DirtyTracking::kExact;
  std::shared_ptr<const CacheCounters> counters;
  // Keyed "metadata", "fast", "origin"; those that are open.
  std::map<std::string, std::shared_ptr<const DeviceStats>> devices;
};

class Engine {  // Thread-safe.
 public:
  // `opener`, `clock`, `executors` and `readers` outlive the engine.  `readers` is bounded and runs look-ups and
  // snapshot reads; it never runs work that flushes.
  Engine(EngineOptions options, DeviceOpener opener, const Clock& clock, ExecutorFactory& executors, Executor& readers);
  // After Shutdown has called back; without it nothing more is committed, as after a kill.  Everything under way is
  // answered before, but for look-ups that `readers` has not begun.
  ~Engine();

  // Lifecycle.  Errors: proto/dmcached/v1/cache_service.proto names them.  The names "CACHE_NOT_OPEN" and so on are
  // Reasons.
  void Create(CreateOptions options, Callback<absl::StatusOr<CacheInfo>> done);
  void Open(OpenOptions options, Callback<absl::StatusOr<OpenResult>> done);
  void Close(const std::string& name, CloseOptions options, Callback<absl::Status> done);
  void Delete(const std::string& name, DeleteOptions options, Callback<absl::Status> done);
  absl::StatusOr<CacheInfo> Get(const std::string& name) const;
  std::vector<CacheInfo> List() const;  // In the order of names.
  // Reads the superblock on `readers`; the device may be open here or elsewhere.
  void Probe(const std::string& path, Callback<absl::StatusOr<ProbeResult>> done);

  // Mutations, answered by the rules of API.md section 3.
  void Apply(const std::string& name, Mutation mutation, Conditions conditions,
             Callback<absl::StatusOr<MutationResult>> done);
  // Calls back when everything of `incarnation` up to `transaction` is durable, with the durable transaction, or with
  // LOST or OUTCOME_UNKNOWN.  `start` starts a commit for it.
  void WhenDurable(const std::string& name, uint64_t incarnation, uint64_t transaction, bool start,
                   Callback<absl::StatusOr<uint64_t>> done);
  void Commit(const std::string& name, bool clean_shutdown, Callback<absl::StatusOr<MutationResult>> done);

  // May call back inside the call when everything is resident and few items are asked.
  void Lookup(const std::string& name, LookupRequest request, Callback<absl::StatusOr<LookupResult>> done);
  absl::StatusOr<Stats> GetStats(const std::string& name) const;
  // `abandoned`: as Conditions::abandoned.
  void Reserve(const std::string& name, uint32_t count, Duration ttl, std::function<bool()> abandoned,
               Callback<absl::StatusOr<Reservation>> done);
  // The number of cblocks that were still held.
  void Release(const std::string& name, uint64_t reservation, Callback<absl::StatusOr<uint32_t>> done);
  // Commits what was accepted before, then holds that durable state for reading.  Dropping the pointer ends it.
  void TakeSnapshot(const std::string& name, Callback<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> done);

  // Notes how a check ended.  Damage makes an open cache need a check; without any above a note, the flag is cleared
  // durably on request; the cache is writable again when it is opened anew.  The answer: whether a flag was cleared.
  // Errors: CACHE_NOT_OPEN, CACHE_FAILED, INCARNATION_CHANGED; those of a commit.
  void FinishCheck(const std::string& name, CheckVerdict verdict, Callback<absl::StatusOr<bool>> done);

  // To be called every few tens of milliseconds: starts commits at commit_interval, recoveries, ends idle snapshots.
  void Tick();
  // Refuses new work (SHUTTING_DOWN), finishes what was accepted, closes every cache clean.  `done` gets the first
  // error.
  void Shutdown(Callback<absl::Status> done);

  std::vector<CacheMetrics> Metrics() const;
  const EngineOptions& options() const { return options_; }

 private:
  // A name in use.
  struct Entry {
    std::shared_ptr<ServedCache> cache;  // Null: the engine is being destroyed.
    bool busy = false;                   // A lifecycle operation is under way.
    uint32_t resizes = 0;                // It is this many resizes: one, and repeats of it.
    std::string resize_id;               // Their request id.
  };
  using CacheOr = absl::StatusOr<std::shared_ptr<ServedCache>>;

  // Makes a callback that is due inside a call.
  template <typename T>
  void Answer(Callback<T> done, T value) {
    answers_->Schedule(
        [done = std::move(done), value = std::move(value)]() mutable { std::move(done)(std::move(value)); });
  }
  absl::Status CheckTakingWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Errors: CACHE_NOT_OPEN; SHUTTING_DOWN.
  CacheOr Find(const std::string& name) const;
  // The same whether or not work is taken.
  CacheOr FindAny(const std::string& name) const;
  // Takes the name for a lifecycle operation.  Errors: as Find; OPERATION_PENDING.
  CacheOr Begin(const std::string& name);
  // A new name.  Errors: CACHE_EXISTS, OPERATION_PENDING, SHUTTING_DOWN.
  CacheOr BeginNew(const std::string& name);
  CacheOr BeginOpen(const OpenOptions& options);
  // A repeat of the resize under way joins it.
  CacheOr BeginResize(const std::string& name, const std::string& request_id);
  void EndResize(const std::string& name);
  // Of `cache`, unless it is not failed any more.
  CacheOr BeginDueRecovery(const std::string& name, const ServedCache& cache);
  // The operation is over; with `gone`, so is the cache.
  void End(const std::string& name, bool gone);
  void EndCache(const std::string& name, CacheEnding how, Callback<absl::Status> done);
  // Calls back once every cache is gone.
  void FinishShutdown();
  void CloseForShutdown(const std::string& name, ServedCache& cache, bool discard);
  std::vector<std::shared_ptr<ServedCache>> Caches() const;

  const EngineOptions options_;
  const DeviceOpener opener_;
  const Clock& clock_;
  ExecutorFactory& executors_;
  Executor& readers_;
  std::unique_ptr<Executor> answers_;
  std::unique_ptr<Executor> commit_helper_;
  std::unique_ptr<CacheEnvironment> environment_;

  Mutex random_mutex_;                              // Taken under any other.
  uint64_t random_ ABSL_GUARDED_BY(random_mutex_);  // State of the generator.
  mutable Mutex mutex_;                             // Taken before that of a cache.
  std::map<std::string, Entry> caches_ ABSL_GUARDED_BY(mutex_);
  // Closed ones.  Their executors cannot be joined from their own tasks, so Tick frees them.
  std::vector<std::shared_ptr<ServedCache>> graveyard_ ABSL_GUARDED_BY(mutex_);
  bool shutting_down_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status shutdown_status_ ABSL_GUARDED_BY(mutex_);
  Callback<absl::Status> shutdown_done_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ENGINE_H_
