#include "core/maintenance/check_runner.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

// The device of an open cache, in the state of a snapshot.
class SnapshotSource : public CheckSource {
 public:
  SnapshotSource(CacheSnapshot& snapshot, const CheckObserver& observer) : snapshot_(snapshot), observer_(observer) {}

  uint64_t blocks() const override { return snapshot_.device_blocks(); }
  absl::Status Read(MetadataBlock first, std::span<std::byte> buffer) override {
    absl::Status read = snapshot_.ReadRaw(first, buffer);
    if (!read.ok()) read_failed_ = true;
    return read;
  }
  absl::Status Interrupted() const override {
    if (observer_.cancelled()) return absl::CancelledError("the check was cancelled");
    return snapshot_.CheckUsable();
  }
  bool read_failed() const { return read_failed_; }

 private:
  CacheSnapshot& snapshot_;
  const CheckObserver& observer_;
  std::atomic<bool> read_failed_{false};
};

// Hands everything on, and keeps the first fatal finding.
class WatchingSink : public CheckSink {
 public:
  explicit WatchingSink(CheckSink& sink) : sink_(sink) {}

  void OnProgress(uint64_t done, uint64_t total) override { sink_.OnProgress(done, total); }
  void OnFinding(const Finding& finding) override {
    if (finding.severity == Severity::kFatal && damage_.ok()) {
      damage_ = MakeError(Reason::kMetadataCorrupt, absl::StrCat("check: ", finding.message));
    }
    sink_.OnFinding(finding);
  }
  const absl::Status& damage() const { return damage_; }

 private:
  CheckSink& sink_;
  absl::Status damage_;
};

}  // namespace

struct CheckRunner::Job {
  CheckRequest request;
  std::shared_ptr<CheckObserver> observer;
  Callback<absl::StatusOr<CheckResult>> done;
  std::shared_ptr<CacheSnapshot> snapshot;  // Of an open cache.
};

CheckRunner::CheckRunner(Engine& engine, DeviceOpener opener, ExecutorFactory& executors, Executor& readers)
    : engine_(engine),
      opener_(std::move(opener)),
      readers_(readers),
      thread_(executors.NewSerialExecutor("dmc-check")) {}

CheckRunner::~CheckRunner() = default;

absl::Status CheckRunner::CheckRequested(const CheckRequest& request) const {
  if (request.cache.empty() == request.path.empty()) {
    return MakeError(Reason::kInvalidRequest, "check: either the name of an open cache or a path is needed");
  }
  if (!request.path.empty()) {
    if (request.path[0] == '/') return absl::OkStatus();
    return MakeError(Reason::kInvalidRequest, absl::StrCat("check \"", request.path, "\": the path must be absolute"));
  }
  DMCACHED_ASSIGN_OR_RETURN(const CacheInfo info, engine_.Get(request.cache));
  if (!request.clear_needs_check || info.state != CacheState::kReadOnly) return absl::OkStatus();
  return MakeError(Reason::kReadOnly, absl::StrCat("clear the needs_check flag of cache ", request.cache,
                                                   ": it is open read-only; close it and check its path"));
}

absl::Status CheckRunner::Admit(const std::shared_ptr<CheckObserver>& observer) {
  MutexLock lock(mutex_);
  std::erase_if(admitted_, [](const std::weak_ptr<CheckObserver>& admitted) { return admitted.expired(); });
  if (admitted_.size() == kMaxChecks) {
    return MakeError(Reason::kOverloaded,
                     absl::StrCat("check: ", kMaxChecks, " checks wait to run or to be read to their end"));
  }
  admitted_.push_back(observer);
  return absl::OkStatus();
}

void CheckRunner::Start(CheckRequest request, std::shared_ptr<CheckObserver> observer,
                        Callback<absl::StatusOr<CheckResult>> done) {
  absl::Status refused = CheckRequested(request);
  if (refused.ok()) refused = Admit(observer);
  if (!refused.ok()) return std::move(done)(std::move(refused));
  auto job = std::make_shared<Job>(Job{std::move(request), std::move(observer), std::move(done), nullptr});
  if (job->request.cache.empty()) return Schedule(std::move(job));
  engine_.TakeSnapshot(job->request.cache, [this, job](absl::StatusOr<std::shared_ptr<CacheSnapshot>> snapshot) {
    if (snapshot.ok()) {
      job->snapshot = *std::move(snapshot);
      return Schedule(job);
    }
    std::move(job->done)(std::move(snapshot).status());
  });
}

void CheckRunner::Schedule(std::shared_ptr<Job> job) {
  thread_->Schedule([this, job = std::move(job)] { Run(job); });
}

void CheckRunner::Run(const std::shared_ptr<Job>& job) {
  if (job->snapshot != nullptr) return RunOnSnapshot(job);
  const PathCheck check = {.path = job->request.path,
                           .clear_needs_check = job->request.clear_needs_check,
                           .executor = &readers_,
                           .interrupted = [&job]() -> absl::Status {
                             if (job->observer->cancelled()) return absl::CancelledError("the check was cancelled");
                             return absl::OkStatus();
                           }};
  absl::StatusOr<CheckOutcome> outcome = CheckPath(opener_, check, *job->observer);
  if (!outcome.ok()) return std::move(job->done)(std::move(outcome).status());
  std::move(job->done)(CheckResult{.outcome = *std::move(outcome)});
}

void CheckRunner::RunOnSnapshot(const std::shared_ptr<Job>& job) {
  SnapshotSource source(*job->snapshot, *job->observer);
  WatchingSink sink(*job->observer);
  const CheckOptions options = {.superblock = job->snapshot->superblock(), .executor = &readers_};
  absl::Status interrupted = source.Interrupted();
  const absl::StatusOr<CheckSummary> summary =
      interrupted.ok() ? CheckMetadata(source, options, sink) : absl::StatusOr<CheckSummary>(interrupted);
  CheckResult result{.transaction = job->snapshot->transaction(), .incarnation = job->snapshot->incarnation()};
  CheckVerdict verdict{.incarnation = result.incarnation, .complete = summary.ok()};
  if (summary.ok()) {
    result.outcome.summary = *summary;
    verdict.errors = summary->count(Severity::kRepairable) + summary->count(Severity::kFatal);
    // A device that fails to read is no damage, and the flag is for damage only.
    if (!source.read_failed()) verdict.damage = sink.damage();
    verdict.clear_needs_check = job->request.clear_needs_check;
  }
  job->snapshot.reset();
  engine_.FinishCheck(
      job->request.cache, std::move(verdict),
      [job, result = std::move(result), status = summary.status()](absl::StatusOr<bool> cleared) mutable {
        // That the cache is gone meanwhile matters only to who wanted its flag cleared.
        if (status.ok() && !cleared.ok() && job->request.clear_needs_check) status = cleared.status();
        if (!status.ok()) return std::move(job->done)(std::move(status));
        result.outcome.needs_check_cleared = cleared.ok() && *cleared;
        std::move(job->done)(std::move(result));
      });
}

}  // namespace dmcached
