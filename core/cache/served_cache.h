// One cache as callers see it: a queue of mutations, the commit pipeline behind it, and reads beside it.
//
// Mutations run one at a time on a serial executor; a commit is prepared and finished there and written on another one.
// A request that must wait (for a commit, for space) is parked and the queue goes on.  Everything is guarded by one
// mutex, which is never held over I/O; only the queue drops or replaces the metadata, so its tasks use it unlocked
// between two holds.  Callbacks are made without the mutex.
//
// | state     | mutations      | reads   | leaves by                                         |
// | opening   | CACHE_NOT_OPEN | the same | open, read_only, failed                           |
// | open      | yes            | yes     | close; a failed write or flush; damage            |
// | read_only | READ_ONLY      | yes     | close                                             |
// | needs_check | NEEDS_CHECK  | yes     | close; a failed write or flush                    |
// | failed    | CACHE_FAILED   | the same | recover; close with discard_uncommitted           |
// | closing   | CACHE_NOT_OPEN | the same | gone; failed                                      |
// Source: core/README.md (queue, commit pipeline, failure).
#ifndef DMCACHED_CORE_CACHE_SERVED_CACHE_H_
#define DMCACHED_CORE_CACHE_SERVED_CACHE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/admission.h"
#include "core/base/mutex.h"
#include "core/cache/answers.h"
#include "core/cache/cache_ending.h"
#include "core/cache/cache_environment.h"
#include "core/cache/cache_metadata.h"
#include "core/cache/commit_company.h"
#include "core/cache/engine.h"
#include "core/cache/pending_mutation.h"
#include "core/cache/request_ids.h"
#include "core/cache/reservations.h"
#include "core/cache/snapshot_reader.h"
#include "core/cache/waiters.h"
#include "core/cache/work_limit.h"

namespace dmcached {

class ServedCache {  // Thread-safe.
 public:
  // Its queue is the first of `executors`, its writer the second.
  ServedCache(const CacheEnvironment& environment, std::string name, SerialPair executors);
  // Not from a task of its own.  Runs what is queued; nothing of it changes anything any more.  Waits for look-ups that
  // have begun on a reader; the others are answered CACHE_NOT_OPEN.
  ~ServedCache();

  // --- Lifecycle: one at a time, the engine sees to it.  Runs on the queue. ---

  // An error leaves nothing open.
  void Create(CreateOptions options, Callback<absl::StatusOr<CacheInfo>> done);
  // Opens for the first time, or again after a first open that failed.  An error leaves the state failed.
  void Open(OpenOptions options, Callback<absl::StatusOr<OpenResult>> done);
  // Leaves the failed state: joins the writer, drops all memory, opens again.
  // What `asked` leaves out is as at the last open.
  void Recover(OpenOptions asked, Callback<absl::StatusOr<OpenResult>> done);
  // Finishes what was queued before and what is parked, commits clean, lets go of the devices.
  void Close(CacheEnding how, Callback<absl::Status> done);

  // --- Work on an open cache ---

  void Apply(Mutation mutation, Conditions conditions, Callback<absl::StatusOr<MutationResult>> done);
  // `done`: also an error says something about what was applied: LOST or OUTCOME_UNKNOWN.
  void WhenDurable(uint64_t incarnation, uint64_t transaction, bool start, DurableCallback done);
  // Why WhenDurable cannot tell.
  static absl::Status NobodyKnows(const std::string& name, uint64_t incarnation);
  void Commit(bool clean_shutdown, Callback<absl::StatusOr<MutationResult>> done);
  void Lookup(LookupRequest request, Callback<absl::StatusOr<LookupResult>> done);
  absl::StatusOr<Stats> GetStats() const;
  void Reserve(uint32_t count, Duration ttl, std::function<bool()> abandoned,
               Callback<absl::StatusOr<Reservation>> done);
  void Release(uint64_t reservation, Callback<absl::StatusOr<uint32_t>> done);
  void TakeSnapshot(Callback<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> done);
  void FinishCheck(CheckVerdict verdict, Callback<absl::StatusOr<bool>> done);

  // --- Any time ---

  // Starts the commit that is due, ends idle snapshots and reservations that are over.
  void Tick();
  // Whether an automatic recovery is due.
  bool RecoveryIsDue() const;
  CacheInfo Info() const;
  CacheMetrics Metrics() const;
  // Does not wait for work on the cache; neither does was_open.
  CacheState state() const;
  // Whether it was open at least once, so that its failed state is left by Recover, not by Open.
  bool was_open() const;
  std::string metadata_path() const;

 private:
  struct PendingLookup {
    LookupRequest request;
    Callback<absl::StatusOr<LookupResult>> done;
  };

  // Runs `task` at the end of the queue.
  void Enqueue(Task task);
  absl::Status Overloaded() const;
  static absl::Status CallerIsGone();
  // Counts the request until `done` was called; false: OVERLOADED was answered.
  template <typename T>
  bool Hold(Callback<absl::StatusOr<T>>& done) {
    std::optional<WorkLimit::Share> share = limit_.Take(0);
    if (!share.has_value()) return AnswerOverloaded(std::move(done)), false;
    done = Holding(*std::move(share), std::move(done));
    return true;
  }
  template <typename T>
  void AnswerOverloaded(Callback<absl::StatusOr<T>> done) {
    environment_.answers.Schedule(
        [done = std::move(done), why = Overloaded()]() mutable { std::move(done)(std::move(why)); });
  }
  DirtyTracking tracking() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return options_.dirty_tracking.value_or(DirtyTracking::kExact);
  }
  absl::Status CheckServing() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static absl::Status NotOpen(const std::string& name);
  absl::Status CheckWritable() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Duration Now() const { return environment_.clock.Monotonic(); }
  double WallSeconds() const;
  void SetState(CacheState state) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // After every change of what Metrics tells.
  void PublishMetrics() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // --- Mutations (served_cache_mutations.cc), on the queue ---

  void RunMutation(std::unique_ptr<PendingMutation> request);
  // Judges everything that needs no block; a refusal, a repeat or a wait takes `request` away.
  void Admit(std::unique_ptr<PendingMutation>& request, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AdmitRepeat(const RequestIds::Entry& entry, std::unique_ptr<PendingMutation>& request, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint32_t> ApplyOnce(const Mutation& mutation, BlockSet& set) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status CheckHeld(const InsertMappings& insert) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NeedsDurableAnswer(const Mutation& mutation, const Conditions& conditions) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Answers when transaction `until` is durable.
  void AnswerMutation(MutationResult result, uint64_t until, Callback<absl::StatusOr<MutationResult>> done,
                      Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The transaction that the answer waits for: `transaction`, `when_applied`, or 0 for none.
  uint64_t AnswerAt(const PendingMutation& request, uint64_t transaction, uint64_t when_applied) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerApplied(std::unique_ptr<PendingMutation> request, uint32_t removed, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandleError(std::unique_ptr<PendingMutation> request, const absl::Status& error, bool write_failed,
                   Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FindSpace(std::unique_ptr<PendingMutation> request, const absl::Status& error, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Refuse(std::unique_ptr<PendingMutation> request, const absl::Status& why, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Park(std::unique_ptr<PendingMutation> request, uint64_t until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Queues what is ready again, in order.
  template <typename Ready>
  void UnparkIf(Ready ready) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // `id` is settled: its repeats run again.
  void Unpark(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UnparkThrough(uint64_t durable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Requeue(std::unique_ptr<PendingMutation> request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void UpdateGauges() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // --- Commits (served_cache_commit.cc) ---

  // The transaction that must be durable for the running state to be.
  uint64_t StateTransaction() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Calls `done` when `transaction` is durable; starts a commit for it if `start`.
  void Await(uint64_t transaction, std::optional<CommitTrigger> start, DurableCallback done, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // At the end of the queue, so that everything queued shares it; after the one in flight; callers who are expected
  // back are given a moment.
  void RequestCommit(CommitTrigger trigger) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndPause();
  void StartCommit();
  // Unless one is in flight or nothing changed.
  void BeginCommit(Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts a commit at once, ahead of the queue, if the open transaction has taken its half of the block cache.
  void RelieveMemory(Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishCommit(const absl::Status& written, Duration took);
  void EndCommit(std::unique_ptr<CommitBatch> batch, Duration took, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AbandonCommit(const CommitBatch& batch, const absl::Status& why, Answers& answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Memory is not trusted any more: what is not durable is lost.
  void Fail(const absl::Status& why, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A recovery did not succeed: the next one comes later.
  void DelayRecovery() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A block failed its check: what is applied is committed with NEEDS_CHECK, nothing more is applied.
  void MeetDamage(const absl::Status& damage, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReportDamage(const absl::Status& damage);

  // --- Reads (served_cache_reads.cc) ---

  // False: `done` was not taken.
  bool LookupInline(const LookupRequest& request, Callback<absl::StatusOr<LookupResult>>& done);
  void RunLookup(PendingLookup& lookup);
  absl::StatusOr<LookupResult> LookupOnce(const LookupRequest& request, BlockSet& set)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AnswerLookup(bool durable, absl::StatusOr<LookupResult> result, Callback<absl::StatusOr<LookupResult>> done,
                    Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Reservation> MakeReservation(uint32_t count, Duration ttl) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<uint32_t> DropReservation(uint64_t reservation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<CacheSnapshot> MakeSnapshot() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status NoteCheck(const CheckVerdict& verdict, Answers& answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountRevoked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Their readers get SNAPSHOT_REVOKED from now on, and no longer use the device.
  void EndSnapshots() ABSL_LOCKS_EXCLUDED(mutex_);

  // --- Lifecycle (served_cache_lifecycle.cc), on the queue ---

  // Null for an empty path.
  absl::StatusOr<std::shared_ptr<BlockDevice>> OpenDevice(const std::string& path, bool read_only, bool allocate);
  // As options_ say; all or none.  `allocate`: the metadata file's space, if it is writable.
  absl::Status OpenDevices(bool allocate) ABSL_LOCKS_EXCLUDED(mutex_);
  void CloseDevices() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RunCreate(const CreateOptions& options) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<FormatParams> PlanFormat(const CreateOptions& options) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Errors: GEOMETRY_MISMATCH if the open origin device is smaller.
  absl::Status CheckOriginFits(Sectors size) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status OpenMetadata() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<OpenResult> Opened(const absl::Status& status) const ABSL_LOCKS_EXCLUDED(mutex_);
  // A new incarnation.
  void Install(std::unique_ptr<CacheMetadata> metadata) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunRecover(const OpenOptions& asked, Callback<absl::StatusOr<OpenResult>> done);
  // Runs `task` once no commit is being written; tells the writer to stop.
  void WhenWriterStopped(Task task);
  // Waits for look-ups, ends snapshots, forgets the metadata.
  void DropMetadata() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunClose(CacheEnding how, Callback<absl::Status> done);
  absl::Status CheckClose(const CacheEnding& how) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishClose(CacheEnding how, Callback<absl::Status> done);
  absl::Status Wipe();

  const CacheEnvironment& environment_;
  const std::string name_;
  // For threads that are not its own: they may come when it is gone.
  const std::shared_ptr<Admission> admission_ = std::make_shared<Admission>();

  mutable Mutex mutex_;
  CacheState state_ ABSL_GUARDED_BY(mutex_) = CacheState::kOpening;
  OpenOptions options_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);  // Why it is failed or needs a check.
  std::atomic<bool> was_open_{false};
  // Replaced only by the queue, under the mutex.
  std::unique_ptr<CacheMetadata> metadata_;
  std::shared_ptr<BlockDevice> device_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<BlockDevice> fast_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<BlockDevice> origin_ ABSL_GUARDED_BY(mutex_);
  CacheInfo last_info_ ABSL_GUARDED_BY(mutex_);  // While there is no metadata.
  std::shared_ptr<CacheCounters> counters_;      // Its own synchronisation.

  uint64_t incarnation_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t revision_ ABSL_GUARDED_BY(mutex_) = 0;
  Reservations reservations_ ABSL_GUARDED_BY(mutex_);
  RequestIds request_ids_ ABSL_GUARDED_BY(mutex_);
  std::vector<ParkedMutation> parked_ ABSL_GUARDED_BY(mutex_);
  size_t requeued_ ABSL_GUARDED_BY(mutex_) = 0;              // Once parked, in the queue again.
  std::vector<Task> when_unparked_ ABSL_GUARDED_BY(mutex_);  // Queued once nothing is parked.
  WorkLimit limit_;

  Waiters waiters_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<CommitBatch> writing_ ABSL_GUARDED_BY(mutex_);     // The commit in flight.
  std::shared_ptr<std::atomic<bool>> stop_ ABSL_GUARDED_BY(mutex_);  // Of the writer of this incarnation.
  std::vector<Task> when_writer_stopped_ ABSL_GUARDED_BY(mutex_);
  bool commit_queued_ ABSL_GUARDED_BY(mutex_) = false;
  bool pausing_ ABSL_GUARDED_BY(mutex_) = false;  // Before a commit that may begin earlier.
  CommitCompany company_ ABSL_GUARDED_BY(mutex_);
  std::optional<CommitTrigger> commit_wanted_ ABSL_GUARDED_BY(mutex_);
  bool clean_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_insert_ ABSL_GUARDED_BY(mutex_) = 0;               // Transaction of the latest insert.
  uint64_t origin_resized_ ABSL_GUARDED_BY(mutex_) = 0;            // Transaction that set the origin's size.
  uint64_t applied_running_ ABSL_GUARDED_BY(mutex_) = 0;           // Requests in the open transaction ...
  uint64_t applied_writing_ ABSL_GUARDED_BY(mutex_) = 0;           // ... and in the one in flight.
  std::optional<Duration> changed_since_ ABSL_GUARDED_BY(mutex_);  // Of the open transaction.
  Duration recover_delay_ ABSL_GUARDED_BY(mutex_){0};
  std::optional<Duration> recover_at_ ABSL_GUARDED_BY(mutex_);

  size_t lookups_ ABSL_GUARDED_BY(mutex_) = 0;  // That use the metadata on another thread.
  CondVar lookups_done_;
  std::vector<std::weak_ptr<SnapshotReader>> snapshots_ ABSL_GUARDED_BY(mutex_);

  // Apart from the mutex, which a scrape must not wait for.
  mutable Mutex metrics_mutex_;
  CacheMetrics metrics_ ABSL_GUARDED_BY(metrics_mutex_);

  // Last, so that their tasks end before anything else does: the writer's tasks use the queue.
  std::unique_ptr<Executor> queue_;
  std::unique_ptr<Executor> writer_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_SERVED_CACHE_H_
