// ServedCache: the commit pipeline, and what happens when it breaks.
#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/served_cache.h"

namespace dmcached {
namespace {

constexpr Duration kMaxRecoverDelay = std::chrono::minutes(5);

}  // namespace

uint64_t ServedCache::StateTransaction() const {
  return metadata_->changed() ? metadata_->transaction() : metadata_->transaction() - 1;
}

void ServedCache::Await(uint64_t transaction, std::optional<CommitTrigger> start, DurableCallback done,
                        Answers& answers) {
  if (transaction <= metadata_->durable_transaction()) {
    return answers.Add(std::move(done), absl::StatusOr<uint64_t>(metadata_->durable_transaction()));
  }
  const bool in_flight = writing_ != nullptr && transaction <= writing_->transaction();
  waiters_.Add(transaction, std::move(done));
  if (start.has_value() && !in_flight) RequestCommit(*start);
}

void ServedCache::RequestCommit(CommitTrigger trigger) {
  if (!commit_wanted_.has_value()) commit_wanted_ = trigger;
  if (commit_queued_ || writing_ != nullptr) return;
  if (commit_wanted_ == CommitTrigger::kAck && trigger == CommitTrigger::kAck) {
    if (const Duration pause = company_.Pause(Now(), waiters_.size()); pause > Duration{0}) {
      if (std::exchange(pausing_, true)) return;
      queue_->ScheduleAfter(pause, [this] { EndPause(); });
      return;
    }
  }
  commit_queued_ = true;
  Enqueue([this] { StartCommit(); });
}

void ServedCache::EndPause() {
  Answers answers;
  MutexLock lock(mutex_);
  pausing_ = false;
  // Unless everyone came and it has begun without this.
  if (commit_wanted_.has_value() && !commit_queued_) BeginCommit(answers);
}

void ServedCache::StartCommit() {
  Answers answers;
  MutexLock lock(mutex_);
  commit_queued_ = false;
  BeginCommit(answers);
}

void ServedCache::BeginCommit(Answers& answers) {
  if (metadata_ == nullptr || state_ == CacheState::kFailed || writing_ != nullptr) return;
  const CommitTrigger trigger = std::exchange(commit_wanted_, {}).value_or(CommitTrigger::kTimer);
  const bool clean = std::exchange(clean_wanted_, false);
  if (!metadata_->changed() && !(clean && !metadata_->clean_on_medium())) return;
  absl::StatusOr<std::unique_ptr<CommitBatch>> batch = metadata_->Prepare(clean);
  if (!batch.ok()) return Fail(WithContext(batch.status(), "prepare a commit"), answers);
  writing_ = *std::move(batch);
  changed_since_.reset();
  applied_writing_ = std::exchange(applied_running_, 0);
  counters_->commits[static_cast<size_t>(trigger)].fetch_add(1, std::memory_order_relaxed);
  counters_->commit_written_blocks.Observe(static_cast<double>(writing_->written_blocks()));
  // The metadata, and with it batch and device, stays until the writer has reported.
  writer_->Schedule([this, writing = writing_.get(), device = metadata_->device().get(), stop = stop_, began = Now()] {
    const absl::Status written = writing->Write(*device, *stop, &environment_.commit_helper);
    const Duration took = Now() - began;
    Enqueue([this, written, took] { FinishCommit(written, took); });
  });
}

void ServedCache::FinishCommit(const absl::Status& written, Duration took) {
  Answers answers;
  MutexLock lock(mutex_);
  counters_->commit_seconds.Observe(std::chrono::duration<double>(took).count());
  std::unique_ptr<CommitBatch> batch = std::move(writing_);
  applied_writing_ = 0;
  if (written.ok()) {
    EndCommit(std::move(batch), took, answers);
  } else {
    AbandonCommit(*batch, written, answers);
  }
  for (Task& task : std::exchange(when_writer_stopped_, {})) Enqueue(std::move(task));
}

void ServedCache::RelieveMemory(Answers& answers) {
  if (!metadata_->under_memory_pressure()) return;
  if (!commit_wanted_.has_value()) commit_wanted_ = CommitTrigger::kPressure;
  BeginCommit(answers);
}

void ServedCache::EndCommit(std::unique_ptr<CommitBatch> batch, Duration took, Answers& answers) {
  counters_->last_commit_seconds.store(WallSeconds());
  // The medium has it, also if the cache has failed meanwhile.
  const uint64_t transaction = batch->transaction();
  const size_t answered = waiters_.Settle(transaction, transaction, answers);
  company_.Ended(Now(), took, answered, waiters_.size());
  if (state_ == CacheState::kFailed) return;
  metadata_->Finish(std::move(batch));
  UnparkThrough(transaction);
  UpdateGauges();
  RelieveMemory(answers);
  if (commit_wanted_.has_value()) RequestCommit(*commit_wanted_);
}

void ServedCache::AbandonCommit(const CommitBatch& batch, const absl::Status& why, Answers& answers) {
  const std::string what = absl::StrCat("commit transaction ", batch.transaction(), " of cache ", name_);
  const Reason reason = batch.superblock_started() ? Reason::kOutcomeUnknown : Reason::kLost;
  waiters_.Settle(batch.transaction(), MakeError(reason, absl::StrCat(what, ": ", why.message())), answers);
  Fail(WithContext(why, what), answers);
}

void ServedCache::Fail(const absl::Status& why, Answers& answers) {
  if (state_ == CacheState::kFailed) return;
  SetState(CacheState::kFailed);
  failure_ = why;
  stop_->store(true);
  commit_wanted_.reset();
  clean_wanted_ = false;
  changed_since_.reset();
  // Whether the new size made it is not known here; the metadata's own geometry will tell.
  if (origin_resized_ > metadata_->durable_transaction()) options_.origin_size.reset();
  request_ids_.Lose(metadata_->durable_transaction());
  // Who waits for the commit in flight hears what became of it once the writer has stopped.
  Waiters in_flight;
  if (writing_ != nullptr) in_flight = waiters_.TakeThrough(writing_->transaction());
  waiters_.SettleAll(MakeError(Reason::kLost, absl::StrCat("cache ", name_, " has failed: ", why.message())), answers);
  waiters_ = std::move(in_flight);
  for (ParkedMutation& parked : std::exchange(parked_, {})) {
    parked.request->parked = false;  // Its id is forgotten already.
    Refuse(std::move(parked.request), CheckServing(), answers);
  }
  for (Task& task : std::exchange(when_unparked_, {})) Enqueue(std::move(task));
  recover_delay_ = environment_.options.recover_interval;
  if (recover_delay_ > Duration{0}) recover_at_ = Now() + recover_delay_;
}

void ServedCache::DelayRecovery() {
  if (recover_delay_ == Duration{0}) return;
  recover_delay_ = std::min(2 * recover_delay_, kMaxRecoverDelay);
  recover_at_ = Now() + recover_delay_;
}

void ServedCache::MeetDamage(const absl::Status& damage, Answers& answers) {
  CountFailedCheck(damage, *counters_);
  if (state_ != CacheState::kOpen) return;
  SetState(CacheState::kNeedsCheck);
  failure_ = damage;
  metadata_->SetNeedsCheck();
  Await(
      metadata_->transaction(), CommitTrigger::kAck, [](const absl::StatusOr<uint64_t>&) {}, answers);
}

void ServedCache::ReportDamage(const absl::Status& damage) {
  Enqueue([this, damage] {
    Answers answers;
    MutexLock lock(mutex_);
    MeetDamage(damage, answers);
  });
}

absl::Status ServedCache::NobodyKnows(const std::string& name, uint64_t incarnation) {
  return MakeError(Reason::kOutcomeUnknown, absl::StrCat("what incarnation ", incarnation, " of cache ", name,
                                                         " applied: the cache has failed or was closed since"));
}

void ServedCache::WhenDurable(uint64_t incarnation, uint64_t transaction, bool start, DurableCallback done) {
  Enqueue([this, incarnation, transaction, start, done = std::move(done)]() mutable {
    Answers answers;
    MutexLock lock(mutex_);
    // A close makes durable what was applied before it.
    const bool closing = state_ == CacheState::kClosing && metadata_ != nullptr;
    if ((!closing && !CheckServing().ok()) || incarnation != incarnation_) {
      return answers.Add(std::move(done), absl::StatusOr<uint64_t>(NobodyKnows(name_, incarnation)));
    }
    // What was not applied yet cannot be waited for.
    Await(std::min(transaction, StateTransaction()), start ? std::optional(CommitTrigger::kAck) : std::nullopt,
          std::move(done), answers);
  });
}

void ServedCache::Commit(bool clean_shutdown, Callback<absl::StatusOr<MutationResult>> done) {
  if (!Hold(done)) return;
  Enqueue([this, clean_shutdown, done = std::move(done)]() mutable {
    Answers answers;
    MutexLock lock(mutex_);
    if (absl::Status serving = CheckServing(); !serving.ok()) {
      return answers.Add(std::move(done), absl::StatusOr<MutationResult>(std::move(serving)));
    }
    uint64_t until = StateTransaction();
    // EXACT metadata is always clean.
    if (clean_shutdown && state_ == CacheState::kOpen) {
      const bool clean = metadata_->newest_commit_is_clean();
      if (!clean) until = metadata_->transaction();
      clean_wanted_ = metadata_->changed() || !clean;
    }
    const MutationResult result{.incarnation = incarnation_, .revision = revision_, .transaction = until};
    Await(
        until, CommitTrigger::kRpc,
        [result = result, done = std::move(done)](absl::StatusOr<uint64_t> durable) mutable {
          if (!durable.ok()) return std::move(done)(std::move(durable).status());
          result.durable_transaction = *durable;
          std::move(done)(result);
        },
        answers);
  });
}

}  // namespace dmcached
