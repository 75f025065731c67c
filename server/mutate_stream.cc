#include "server/mutate_stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "server/status_util.h"
#include "server/unary.h"

namespace dmcached {
namespace {

const v1::MutationOptions& OptionsOf(const v1::MutateRequest& message) {
  switch (message.mutation_case()) {
    case v1::MutateRequest::kInsertMappings:
      return message.insert_mappings().options();
    case v1::MutateRequest::kRemoveMappings:
      return message.remove_mappings().options();
    case v1::MutateRequest::kMarkDirty:
      return message.mark_dirty().options();
    case v1::MutateRequest::kClearDirty:
      return message.clear_dirty().options();
    case v1::MutateRequest::kSetDiscards:
      return message.set_discards().options();
    case v1::MutateRequest::kClearDiscards:
      return message.clear_discards().options();
    case v1::MutateRequest::kBeginHints:
      return message.begin_hints().options();
    case v1::MutateRequest::kSaveHints:
      return message.save_hints().options();
    case v1::MutateRequest::kSetStats:
      return message.set_stats().options();
    case v1::MutateRequest::MUTATION_NOT_SET:
      break;
  }
  return v1::MutationOptions::default_instance();
}

}  // namespace

MutateStream::MutateStream(Engine& engine, const Authorization& authorization, grpc::CallbackServerContext& context,
                           CountedRpc rpc)
    : engine_(engine),
      authorization_(authorization),
      context_(context),
      caller_(CallerOf(context)),
      rpc_(std::move(rpc)) {
  if (const absl::Status allowed = authorization_.CheckCallsInFlight(caller_); !allowed.ok()) {
    error_ = ToGrpcStatus(allowed);
  }
  Proceed();
}

void MutateStream::OnReadDone(bool ok) {
  {
    MutexLock lock(mutex_);
    reading_ = false;
    if (ok) rpc_.CountReceived();
    if (!ok) {
      // Also said when the client is gone; Decide asks the context about that.
      half_closed_ = true;
    } else if (!finished_ && !error_.has_value()) {
      const uint64_t number = incoming_->batch();
      const absl::Status accepted = Accept(std::move(incoming_));
      if (!accepted.ok()) Fail(ToGrpcStatus(accepted, number));
    }
  }
  Proceed();
}

void MutateStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) broken_ = true;
  }
  Proceed();
}

void MutateStream::OnCancel() {
  {
    MutexLock lock(mutex_);
    broken_ = true;
  }
  Proceed();
}

void MutateStream::OnDone() { Unref(); }

absl::Status MutateStream::Accept(std::unique_ptr<v1::MutateRequest> message) {
  const bool first = std::exchange(first_, false);
  DMCACHED_RETURN_IF_ERROR(authorization_.Check(caller_, *message, cache_));
  if (first) {
    DMCACHED_RETURN_IF_ERROR(CheckCacheName(message->cache()));
    cache_ = message->cache();
    stop_on_error_ = !message->has_stop_on_error() || message->stop_on_error();
    if (message->mutation_case() == v1::MutateRequest::MUTATION_NOT_SET) return absl::OkStatus();
  } else if (!message->cache().empty() && message->cache() != cache_) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat("the message names cache \"", message->cache(),
                                                           "\", the stream is for \"", cache_, "\""));
  }
  if (message->batch() <= last_batch_) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat("batch numbers must ascend from 1, but ", message->batch(),
                                                           " follows ", last_batch_));
  }
  last_batch_ = message->batch();
  Batch batch;
  batch.number = message->batch();
  batch.durable = OptionsOf(*message).durable();
  batch.call = ToMutation(cache_, *message);
  batch.message = std::move(message);
  batches_.push_back(std::move(batch));
  return absl::OkStatus();
}

void MutateStream::DropQueued() {
  while (batches_.size() > (applying_ ? 1u : 0u)) batches_.pop_back();
}

void MutateStream::Fail(grpc::Status status) {
  if (!error_.has_value()) error_ = std::move(status);
  DropQueued();
}

void MutateStream::RecordApplied(const MutationResult& result) {
  const Batch& batch = batches_.front();
  if (result.incarnation != incarnation_) {
    if (!undurable_.empty()) {
      Fail(ToGrpcStatus(MakeError(Reason::kLost, absl::StrCat("the cache was opened again before batch ",
                                                              undurable_.front().batch, " was durable"))));
      return;
    }
    incarnation_ = result.incarnation;
    // Numbers of another incarnation say nothing about this one.
    waited_for_ = commit_wanted_ = commit_started_ = durable_transaction_ = 0;
  }
  v1::MutateResponse::Applied* applied = answer_.add_applied();
  applied->set_batch(batch.number);
  applied->set_revision(result.revision);
  applied->set_transaction(result.transaction);
  applied->set_removed_count(result.removed_count);
  answer_changed_ = true;
  undurable_.push_back({batch.number, result.transaction});
  if (batch.durable) commit_wanted_ = std::max(commit_wanted_, result.transaction);
  AdvanceDurable(result.durable_transaction);
}

void MutateStream::RecordRefused(const absl::Status& error) {
  const uint64_t number = batches_.front().number;
  if (stop_on_error_) return Fail(ToGrpcStatus(error, number));
  const grpc::Status status = ToGrpcStatus(error);
  v1::MutateResponse::Failed* failed = answer_.add_failed();
  failed->set_batch(number);
  failed->set_code(status.error_code());
  if (const std::optional<Reason> reason = ReasonOf(error); reason.has_value()) {
    failed->set_reason(std::string(ReasonName(*reason)));
  }
  failed->set_message(status.error_message());
  answer_changed_ = true;
  undurable_.push_back({number, 0});
  AdvanceDurable(durable_transaction_);
}

void MutateStream::AdvanceDurable(uint64_t durable_transaction) {
  durable_transaction_ = std::max(durable_transaction_, durable_transaction);
  while (!undurable_.empty() && undurable_.front().transaction <= durable_transaction_) {
    durable_through_ = undurable_.front().batch;
    answer_changed_ = true;
    durability_changed_ = true;
    undurable_.pop_front();
  }
}

void MutateStream::OnApplied(const Batch& batch, const absl::StatusOr<MutationResult>& result) {
  authorization_.Audit(caller_, *batch.message, OptionsOf(*batch.message).request_id(), result.status(), cache_);
  {
    MutexLock lock(mutex_);
    if (result.ok()) {
      RecordApplied(*result);
    } else {
      RecordRefused(result.status());
    }
    applying_ = false;
    batches_.pop_front();
  }
  Proceed();
  Unref();
}

void MutateStream::OnDurable(const absl::StatusOr<uint64_t>& durable) {
  {
    MutexLock lock(mutex_);
    if (durable.ok()) {
      AdvanceDurable(*durable);
    } else if (!undurable_.empty()) {
      Fail(ToGrpcStatus(durable.status(), undurable_.front().batch));
    }
  }
  Proceed();
  Unref();
}

void MutateStream::Proceed() {
  mutex_.Lock();
  if (acting_) {
    again_ = true;
    mutex_.Unlock();
    return;
  }
  acting_ = true;
  ++references_;  // After Finish gRPC may let go of `this` at any time.
  do {
    again_ = false;
    Actions actions = Decide();
    mutex_.Unlock();
    Act(std::move(actions));
    mutex_.Lock();
  } while (again_);
  acting_ = false;
  mutex_.Unlock();
  Unref();
}

MutateStream::Actions MutateStream::Decide() {
  Actions actions;
  if (finished_) return actions;
  if (CallerIsGone(context_)) broken_ = true;
  if (broken_) DropQueued();
  const bool ending = broken_ || error_.has_value();
  const bool full = answer_.applied_size() + answer_.failed_size() >= kMaxGathered;
  if (!ending && !full && !applying_ && !batches_.empty()) {
    applying_ = true;
    ++references_;
    actions.apply = &batches_.front();
  }
  if (!ending) DecideRead(actions);
  if (!ending) DecideWait(actions);
  DecideAnswer(actions);
  return actions;
}

void MutateStream::DecideRead(Actions& actions) {
  if (reading_ || half_closed_) return;
  if (batches_.size() >= kReadAhead) holding_back_ = true;
  if (batches_.size() <= kReadAhead / 2) holding_back_ = false;
  if (holding_back_) return;
  reading_ = true;
  actions.read = true;
}

void MutateStream::DecideWait(Actions& actions) {
  if (undurable_.empty()) return;
  // Refused batches at the front are gone, so the front one has a transaction.
  const bool drained = half_closed_ && batches_.empty();
  if (drained) {
    for (const Undurable& batch : undurable_) commit_wanted_ = std::max(commit_wanted_, batch.transaction);
  }
  if (commit_wanted_ > commit_started_) {
    commit_started_ = commit_wanted_;
    waited_for_ = std::max(waited_for_, commit_wanted_);
    actions.wait = Wait{incarnation_, commit_wanted_, true};
  } else if (undurable_.front().transaction > waited_for_) {
    waited_for_ = undurable_.front().transaction;
    actions.wait = Wait{incarnation_, waited_for_, false};
  }
  if (actions.wait.has_value()) ++references_;
}

void MutateStream::DecideAnswer(Actions& actions) {
  if (writing_) return;
  if (broken_) {
    finished_ = true;
    actions.finish = CallerGoneStatus();
    rpc_.set_code(actions.finish->error_code());
    return;
  }
  // A batch that is with the engine is acknowledged before the stream ends.
  if (applying_ && error_.has_value()) return;
  const bool complete = half_closed_ && batches_.empty() && undurable_.empty() && !error_.has_value();
  if (answer_changed_ && MayGather()) return;
  if (answer_changed_ || (complete && !final_written_)) {
    answer_.set_durable_through(durable_through_);
    answer_.set_durable_transaction(durable_transaction_);
    answer_.set_incarnation(incarnation_);
    outgoing_.Swap(&answer_);
    answer_.Clear();
    answer_changed_ = false;
    durability_changed_ = false;
    final_written_ = complete;
    writing_ = true;
    rpc_.CountSent();
    actions.write = true;
  } else if (error_.has_value() || complete) {
    finished_ = true;
    actions.finish = error_.value_or(grpc::Status::OK);
    rpc_.set_code(actions.finish->error_code());
  }
}

bool MutateStream::MayGather() const {
  // With one batch alone at the engine its caller may be waiting for the ones before; and a batch that waits for a
  // commit holds back no word of that commit.
  return applying_ && batches_.size() > 1 && !durability_changed_ && !error_.has_value() &&
         answer_.applied_size() + answer_.failed_size() < kAcksWorthAMessage;
}

void MutateStream::Act(Actions actions) {
  if (actions.apply != nullptr) {
    // The batch, and with it the memory behind the spans, stays at the front until OnApplied.
    Batch& batch = *actions.apply;
    if (!batch.call.ok()) {
      OnApplied(batch, batch.call.status());
    } else {
      batch.call->conditions.durable = false;
      batch.call->conditions.answer_when_applied = true;
      engine_.Apply(cache_, std::move(batch.call->mutation), std::move(batch.call->conditions),
                    [this, &batch](const absl::StatusOr<MutationResult>& result) { OnApplied(batch, result); });
    }
  }
  if (actions.wait.has_value()) {
    engine_.WhenDurable(cache_, actions.wait->incarnation, actions.wait->transaction, actions.wait->start_commit,
                        [this](const absl::StatusOr<uint64_t>& durable) { OnDurable(durable); });
  }
  if (actions.read) {
    incoming_ = std::make_unique<v1::MutateRequest>();
    StartRead(incoming_.get());
  }
  if (actions.write) StartWrite(&outgoing_);
  if (actions.finish.has_value()) Finish(*actions.finish);
}

void MutateStream::Unref() {
  bool last = false;
  {
    MutexLock lock(mutex_);
    last = --references_ == 0;
  }
  if (last) delete this;
}

}  // namespace dmcached
