#include "dmcached/mutate_stream.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/src/convert.h"
#include "client/src/mutate_stream_impl.h"
#include "client/src/request_id.h"
#include "client/src/status_internal.h"
#include "dmcached/status.h"

namespace dmcached::client {
namespace {

template <typename Message, typename Typed>
v1::MutationOptions* Set(Message* message, const Typed& typed) {
  *message = ToProto(typed);
  return message->mutable_options();
}

// Puts a batch into the oneof of `request` and returns its options.
struct SetMutation {
  v1::MutateRequest& request;
  v1::MutationOptions* operator()(const InsertBatch& b) { return Set(request.mutable_insert_mappings(), b); }
  v1::MutationOptions* operator()(const RemoveBatch& b) { return Set(request.mutable_remove_mappings(), b); }
  v1::MutationOptions* operator()(const MarkDirtyBatch& b) { return Set(request.mutable_mark_dirty(), b); }
  v1::MutationOptions* operator()(const ClearDirtyBatch& b) { return Set(request.mutable_clear_dirty(), b); }
  v1::MutationOptions* operator()(const SetDiscardsBatch& b) { return Set(request.mutable_set_discards(), b); }
  v1::MutationOptions* operator()(const ClearDiscardsBatch& b) { return Set(request.mutable_clear_discards(), b); }
  v1::MutationOptions* operator()(const BeginHintsBatch& b) { return Set(request.mutable_begin_hints(), b); }
  v1::MutationOptions* operator()(const SaveHintsBatch& b) { return Set(request.mutable_save_hints(), b); }
  v1::MutationOptions* operator()(const SetStatsBatch& b) { return Set(request.mutable_set_stats(), b); }
};

}  // namespace

MutateStream::Impl::~Impl() {
  if (!reader_.joinable()) return;
  context_.TryCancel();
  reader_.join();
}

void MutateStream::Impl::Start(v1::MetadataService::Stub& stub, const std::string& cache) {
  stream_ = stub.Mutate(&context_);
  v1::MutateRequest first;
  first.set_cache(cache);
  first.set_stop_on_error(options_.stop_on_error);
  // A failure shows in the answers: the reader then sees the end.
  stream_->Write(first);
  reader_ = std::thread([this] { ReadAnswers(); });
}

void MutateStream::Impl::ReadAnswers() {
  v1::MutateResponse response;
  while (stream_->Read(&response)) Record(response);
  absl::Status end = FromGrpc(stream_->Finish());
  const std::lock_guard<std::mutex> lock(mutex_);
  end_ = std::move(end);
  ended_ = true;
  changed_.notify_all();
}

void MutateStream::Impl::Record(const v1::MutateResponse& response) {
  const std::lock_guard<std::mutex> lock(mutex_);
  for (const v1::MutateResponse::Applied& applied : response.applied()) {
    answered_ = std::max(answered_, applied.batch());
    progress_.applied_through = std::max(progress_.applied_through, applied.batch());
    progress_.revision = applied.revision();
    progress_.removed_count += applied.removed_count();
  }
  for (const v1::MutateResponse::Failed& failed : response.failed()) {
    answered_ = std::max(answered_, failed.batch());
    absl::Status status = MakeError(static_cast<absl::StatusCode>(failed.code()), failed.reason(), failed.message());
    SetDetail(status, "batch", absl::StrCat(failed.batch()));
    progress_.failed.push_back({failed.batch(), std::move(status)});
  }
  progress_.durable_through = std::max(progress_.durable_through, response.durable_through());
  progress_.durable_transaction = std::max(progress_.durable_transaction, response.durable_transaction());
  changed_.notify_all();
}

absl::Status MutateStream::Impl::EndLocked() const {
  if (end_.ok() && InFlightLocked() == 0) {
    return half_closed_ ? absl::OkStatus() : absl::FailedPreconditionError("the service has ended the stream");
  }
  const absl::Status end =
      end_.ok() ? absl::InternalError("the service ended the stream without an answer to every batch") : end_;
  if (InFlightLocked() == 0) return end;
  if (BatchOf(end)) return end;  // The service has named it.
  // Batches are applied in order, so the first one without an answer is the one that ended the stream.
  const uint64_t batch = answered_ + 1;
  absl::Status named = WithMessage(end, absl::StrCat("batch ", batch, ": ", end.message()));
  SetDetail(named, "batch", absl::StrCat(batch));
  return named;
}

absl::Status MutateStream::Impl::WaitForEnd() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return ended_; });
  return EndLocked();
}

absl::StatusOr<uint64_t> MutateStream::Impl::Send(const Batch& batch, const BatchOptions& options) {
  if (half_closed_) return absl::FailedPreconditionError("the stream is finished");
  v1::MutateRequest request;
  v1::MutationOptions& message = *std::visit(SetMutation{request}, batch);
  message.set_request_id(options.request_id.empty() ? NewRequestId() : options.request_id);
  message.set_incarnation(incarnation_);
  if (options.expected_revision) message.set_expected_revision(*options.expected_revision);
  message.set_durable(options.durable);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || InFlightLocked() < std::max<size_t>(options_.max_in_flight, 1); });
    if (ended_) return EndLocked();
    request.set_batch(++sent_);
  }
  if (stream_->Write(request)) return request.batch();
  absl::Status end = WaitForEnd();
  return end.ok() ? absl::InternalError("the service has ended the stream") : end;
}

absl::Status MutateStream::Impl::Flush() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return ended_ || InFlightLocked() == 0; });
  return InFlightLocked() == 0 && !ended_ ? absl::OkStatus() : EndLocked();
}

absl::StatusOr<StreamResult> MutateStream::Impl::Finish() {
  if (!half_closed_) {
    half_closed_ = true;
    stream_->WritesDone();  // Fails only if the stream has ended; its status says why.
  }
  if (absl::Status end = WaitForEnd(); !end.ok()) return end;
  return progress();
}

StreamResult MutateStream::Impl::progress() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return progress_;
}

MutateStream::MutateStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MutateStream::~MutateStream() = default;
MutateStream::MutateStream(MutateStream&&) noexcept = default;
MutateStream& MutateStream::operator=(MutateStream&&) noexcept = default;

absl::StatusOr<uint64_t> MutateStream::Send(const Batch& batch, const BatchOptions& options) {
  return impl_->Send(batch, options);
}

absl::Status MutateStream::Flush() { return impl_->Flush(); }

absl::StatusOr<StreamResult> MutateStream::Finish() { return impl_->Finish(); }

StreamResult MutateStream::progress() const { return impl_->progress(); }

}  // namespace dmcached::client
