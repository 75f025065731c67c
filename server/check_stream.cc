#include "server/check_stream.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "server/check_convert.h"
#include "server/convert.h"
#include "server/status_util.h"
#include "server/unary.h"

namespace dmcached {
namespace {

constexpr size_t kFindingsPerMessage = 1000;

class CheckStream;

// What the check tells and the stream sends.  Shared by both, so that either may end first.
class Mailbox final : public CheckObserver {
 public:
  explicit Mailbox(CheckStream* stream) : stream_(stream) {}

  void OnProgress(uint64_t done, uint64_t total) override;
  void OnFinding(const Finding& finding) override;
  bool cancelled() const override {
    MutexLock lock(mutex_);
    return gone_ || stream_ == nullptr;
  }
  void OnResult(absl::StatusOr<CheckResult> result);

  // The stream's side.
  void Leave() {
    MutexLock lock(mutex_);
    stream_ = nullptr;
  }
  void OnWritten(bool ok);
  void OnCancelled();

 private:
  // Writes what there is, unless a write is under way; finishes after everything.
  void Send() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  CheckStream* stream_ ABSL_GUARDED_BY(mutex_);  // Null: nobody listens.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;  // The caller.
  std::optional<v1::CheckProgress> progress_ ABSL_GUARDED_BY(mutex_);
  std::vector<Finding> findings_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::StatusOr<CheckResult>> result_ ABSL_GUARDED_BY(mutex_);
  v1::CheckResponse message_;  // Of the write under way.
};

class CheckStream final : public grpc::ServerWriteReactor<v1::CheckResponse> {
 public:
  CheckStream() : mailbox_(std::make_shared<Mailbox>(this)) {}

  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  void OnWriteDone(bool ok) override { mailbox_->OnWritten(ok); }
  void OnCancel() override { mailbox_->OnCancelled(); }
  void OnDone() override {
    mailbox_->Leave();
    delete this;
  }

 private:
  const std::shared_ptr<Mailbox> mailbox_;
};

void Mailbox::OnProgress(uint64_t done, uint64_t total) {
  MutexLock lock(mutex_);
  progress_.emplace();
  progress_->set_done_blocks(done);
  progress_->set_total_blocks(total);
  Send();
}

void Mailbox::OnFinding(const Finding& finding) {
  MutexLock lock(mutex_);
  findings_.push_back(finding);
  Send();
}

void Mailbox::OnResult(absl::StatusOr<CheckResult> result) {
  MutexLock lock(mutex_);
  result_ = std::move(result);
  Send();
}

void Mailbox::OnWritten(bool ok) {
  MutexLock lock(mutex_);
  writing_ = false;
  if (stream_ == nullptr || finished_) return;
  if (ok && !gone_) return Send();
  finished_ = true;
  stream_->Finish(CallerGoneStatus());
}

void Mailbox::OnCancelled() {
  MutexLock lock(mutex_);
  gone_ = true;
  // A write under way ends too, and finishes then.
  if (stream_ == nullptr || writing_ || finished_) return;
  finished_ = true;
  stream_->Finish(CallerGoneStatus());
}

void Mailbox::Send() {
  if (stream_ == nullptr || writing_ || finished_) return;
  message_.Clear();
  if (!findings_.empty()) {
    const size_t count = std::min(findings_.size(), kFindingsPerMessage);
    for (size_t i = 0; i < count; ++i) FillFinding(findings_[i], message_.add_findings());
    findings_.erase(findings_.begin(), findings_.begin() + static_cast<std::ptrdiff_t>(count));
  } else if (result_.has_value()) {
    finished_ = true;
    if (!result_->ok()) return stream_->Finish(ToGrpcStatus(result_->status()));
    FillSummary(**result_, message_.mutable_summary());
    return stream_->StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
  } else if (progress_.has_value()) {
    *message_.mutable_progress() = *std::exchange(progress_, std::nullopt);
  } else {
    return;
  }
  writing_ = true;
  stream_->StartWrite(&message_);
}

}  // namespace

grpc::ServerWriteReactor<v1::CheckResponse>* StartCheck(grpc::CallbackServerContext* context,
                                                        const v1::CheckRequest& request,
                                                        const Authorization& authorization, Executor& path_follower,
                                                        CheckRunner& runner) {
  auto* stream = new CheckStream;
  const std::shared_ptr<Mailbox> mailbox = stream->mailbox();
  const Caller caller = CallerOf(*context);
  const bool gone = CallerIsGone(*context);
  CheckRequest check = {
      .cache = request.cache(), .path = request.metadata_path(), .clear_needs_check = request.clear_needs_check()};
  // From here on the stream, and with it the context and the request, may end before the check does.
  auto end = [mailbox, &authorization, caller, request](absl::StatusOr<CheckResult> result) {
    if (request.clear_needs_check()) authorization.Audit(caller, request, "", result.status());
    mailbox->OnResult(std::move(result));
  };
  authorization.CheckOn(
      path_follower, caller, request,
      [gone, mailbox, &runner, check = std::move(check), end = std::move(end)](const absl::Status& allowed) mutable {
        if (!allowed.ok()) return end(allowed);
        if (gone || mailbox->cancelled()) {
          return end(absl::CancelledError("the caller had gone before the check began"));
        }
        runner.Start(std::move(check), mailbox, std::move(end));
      });
  return stream;
}

}  // namespace dmcached
