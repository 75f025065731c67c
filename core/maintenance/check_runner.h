// Runs checks for callers that must not wait: of an open cache on a snapshot, while mutations go on, or of a path.
//
// Checks run one after the other on a thread of their own, however many are asked for, so that they never take the
// threads that look-ups need; the readers help with the reading.  A check counts until its observer is let go of, by
// the runner and by who reads what it found: what waits to run and what waits to be read have one bound.
#ifndef DMCACHED_CORE_MAINTENANCE_CHECK_RUNNER_H_
#define DMCACHED_CORE_MAINTENANCE_CHECK_RUNNER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/executor.h"
#include "core/base/mutex.h"
#include "core/cache/engine.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/path_check.h"

namespace dmcached {

struct CheckRequest {
  std::string cache;  // Either an open cache ...
  std::string path;   // ... or metadata that is not open.
  bool clear_needs_check = false;
};

class CheckObserver : public CheckSink {
 public:
  // Asked now and then, from the thread that checks: the check ends.
  virtual bool cancelled() const = 0;
};

struct CheckResult {
  CheckOutcome outcome = {};
  uint64_t transaction = 0;  // Of the snapshot; 0: of a path.
  uint64_t incarnation = 0;
};

class CheckRunner {  // Thread-safe.
 public:
  static constexpr size_t kMaxChecks = 64;

  // All outlive the runner.
  CheckRunner(Engine& engine, DeviceOpener opener, ExecutorFactory& executors, Executor& readers);
  // Runs what was started.
  ~CheckRunner();

  // `done` is called once, after the last call of `observer`: for a request that makes no sense or is one too many
  // before Start returns, so that a flood of them is not kept; else from another thread. Errors: those of
  // Engine::TakeSnapshot and CheckPath; kAborted (SNAPSHOT_REVOKED); READ_ONLY (the flag of a cache that is open
  // read-only); INVALID_REQUEST (neither or both of cache and path); OVERLOADED; kCancelled.
  void Start(CheckRequest request, std::shared_ptr<CheckObserver> observer, Callback<absl::StatusOr<CheckResult>> done);

 private:
  struct Job;

  absl::Status CheckRequested(const CheckRequest& request) const;
  // Counts the check; OVERLOADED if there are kMaxChecks.
  absl::Status Admit(const std::shared_ptr<CheckObserver>& observer);
  void Schedule(std::shared_ptr<Job> job);
  void Run(const std::shared_ptr<Job>& job);
  void RunOnSnapshot(const std::shared_ptr<Job>& job);

  Engine& engine_;
  const DeviceOpener opener_;
  Executor& readers_;
  Mutex mutex_;
  std::vector<std::weak_ptr<CheckObserver>> admitted_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Executor> thread_;  // Last: its tasks use the others.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_CHECK_RUNNER_H_
