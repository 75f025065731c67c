// Runs checks for callers that must not wait: of an open cache on a snapshot, while mutations go on, or of a path.
//
// Checks run one after the other on a thread of their own, however many are asked for, so that they never take the
// threads that look-ups need; the readers help with the reading.
#ifndef DMCACHED_CORE_MAINTENANCE_CHECK_RUNNER_H_
#define DMCACHED_CORE_MAINTENANCE_CHECK_RUNNER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/executor.h"
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
  // All outlive the runner.
  CheckRunner(Engine& engine, DeviceOpener opener, ExecutorFactory& executors, Executor& readers);
  // Runs what was started.
  ~CheckRunner();

  // `done` is called once, after the last call of `observer`, from another thread.
  // Errors: those of Engine::TakeSnapshot and CheckPath; kAborted (SNAPSHOT_REVOKED); READ_ONLY (the flag of a cache
  // that is open read-only); INVALID_REQUEST (neither or both of cache and path); OVERLOADED; kCancelled.
  void Start(CheckRequest request, std::shared_ptr<CheckObserver> observer, Callback<absl::StatusOr<CheckResult>> done);

 private:
  struct Job;

  static constexpr size_t kMaxWaiting = 64;

  absl::Status CheckRequested(const CheckRequest& request) const;
  void Schedule(std::shared_ptr<Job> job);
  void Run(const std::shared_ptr<Job>& job);
  void RunOnSnapshot(const std::shared_ptr<Job>& job);

  Engine& engine_;
  const DeviceOpener opener_;
  Executor& readers_;
  std::atomic<size_t> waiting_{0};
  std::unique_ptr<Executor> thread_;  // Last: its tasks use the others.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_CHECK_RUNNER_H_
