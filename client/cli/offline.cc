// The one file of dmcachectl that uses the engine.
#include "client/cli/offline.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/device/file_device.h"
#include "core/maintenance/path_check.h"
#include "dmcached/status.h"

namespace dmcached::cli {
namespace {

// A few threads that help to read.
class Helpers : public Executor {
 public:
  explicit Helpers(size_t threads) {
    for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Helpers() override {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
    }
    wake_.NotifyAll();
    for (std::thread& thread : threads_) thread.join();
  }

  bool Schedule(Task task) override {
    MutexLock lock(mutex_);
    tasks_.push_back(std::move(task));
    wake_.NotifyOne();
    return true;
  }

 private:
  void Run() {
    mutex_.Lock();
    while (true) {
      while (tasks_.empty() && !stopping_) wake_.Wait(mutex_);
      if (tasks_.empty()) break;
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      mutex_.Unlock();
      std::move(task)();
      mutex_.Lock();
    }
    mutex_.Unlock();
  }

  Mutex mutex_;
  CondVar wake_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

client::CheckSeverity ToSeverity(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return client::CheckSeverity::kNote;
    case Severity::kRepairable:
      return client::CheckSeverity::kRepairable;
    case Severity::kFatal:
      return client::CheckSeverity::kFatal;
  }
  return client::CheckSeverity::kUnknown;
}

// Gives the callbacks what they would get from a service.
class CallbackSink : public CheckSink {
 public:
  explicit CallbackSink(const client::CheckCallbacks& callbacks) : callbacks_(callbacks) {}

  void OnProgress(uint64_t done, uint64_t total) override {
    if (callbacks_.on_progress) callbacks_.on_progress(done, total);
  }
  void OnFinding(const Finding& finding) override {
    if (!callbacks_.on_finding) return;
    client::CheckFinding shown = {.kind = FindingKindName(finding.kind),
                                  .severity = ToSeverity(finding.severity),
                                  .mappings = finding.mappings,
                                  .dirty = finding.dirty,
                                  .places = finding.count,
                                  .message = finding.message};
    if (finding.block) shown.block = finding.block->value();
    if (finding.cblocks) shown.cblocks = {finding.cblocks->begin.value(), finding.cblocks->end.value()};
    callbacks_.on_finding(shown);
  }

 private:
  const client::CheckCallbacks& callbacks_;
};

client::CheckSummary ToSummary(const CheckOutcome& outcome) {
  const CheckSummary& summary = outcome.summary;
  return {.notes = summary.count(Severity::kNote),
          .repairable = summary.count(Severity::kRepairable),
          .fatal = summary.count(Severity::kFatal),
          .cache_blocks = summary.cache_blocks,
          .mapped = summary.mapped,
          .dirty = summary.dirty,
          .metadata_blocks = summary.metadata_blocks,
          .read_blocks = summary.blocks_read,
          .used_blocks = summary.used,
          .leaked_blocks = summary.leaked,
          .clean_shutdown = summary.clean_shutdown,
          .needs_check = summary.needs_check,
          .needs_check_cleared = outcome.needs_check_cleared};
}

}  // namespace

absl::StatusOr<client::CheckSummary> CheckOffline(const std::string& path, bool clear_needs_check,
                                                  const client::CheckCallbacks& callbacks) {
  Helpers helpers(std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 4));
  const DeviceOpener opener = [](const DeviceRequest& request) { return OpenFileDevice(request, nullptr); };
  const PathCheck check = {
      .path = path, .clear_needs_check = clear_needs_check, .executor = &helpers, .interrupted = nullptr};
  CallbackSink sink(callbacks);
  const absl::StatusOr<CheckOutcome> outcome = CheckPath(opener, check, sink);
  if (outcome.ok()) return ToSummary(*outcome);
  const absl::Status& status = outcome.status();
  const std::optional<Reason> reason = ReasonOf(status);
  return client::MakeError(status.code(), reason ? ReasonName(*reason) : "", status.message());
}

}  // namespace dmcached::cli
