// ServedCache: the way of a mutation from the queue to its answer.
#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/acknowledgement.h"
#include "core/cache/served_cache.h"

namespace dmcached {
namespace {

uint64_t WriteErrors(const BlockDevice& device) {
  return device.stats().op(DeviceOp::kWrite).errors.load(std::memory_order_relaxed);
}

// What the columns of a request keep in memory until it is answered.
struct ColumnBytes {
  size_t operator()(const InsertMappings& m) const {
    return m.cblocks.size_bytes() + m.oblocks.size_bytes() + m.dirty.size_bytes();
  }
  size_t operator()(const RemoveMappings& m) const { return m.cblocks.size_bytes() + m.oblocks.size_bytes(); }
  size_t operator()(const MarkDirty& m) const { return m.cblocks.size_bytes(); }
  size_t operator()(const ClearDirty& m) const { return m.cblocks.size_bytes() + m.oblocks.size_bytes(); }
  size_t operator()(const SetDiscards& m) const { return m.ranges.size_bytes(); }
  size_t operator()(const ClearDiscards& m) const { return m.ranges.size_bytes(); }
  size_t operator()(const BeginHints&) const { return 0; }
  size_t operator()(const SaveHints& m) const { return m.cblocks.size_bytes() + m.hints.size_bytes(); }
  size_t operator()(const SetStats&) const { return 0; }
  size_t operator()(const Resize&) const { return 0; }
};

bool MayBeOfDevice(const absl::Status& error) {
  return HasReason(error, Reason::kIoError) || HasReason(error, Reason::kMetadataNoSpace);
}

}  // namespace

void ServedCache::Apply(Mutation mutation, Conditions conditions, Callback<absl::StatusOr<MutationResult>> done) {
  auto request = std::make_unique<PendingMutation>();
  if (!conditions.request_id.empty()) request->fingerprint = FingerprintOf(mutation);
  request->mutation = std::move(mutation);
  request->conditions = std::move(conditions);
  std::optional<WorkLimit::Share> share = limit_.Take(std::visit(ColumnBytes(), request->mutation));
  if (!share.has_value()) {
    counters_->rejected[static_cast<size_t>(Reason::kOverloaded)].fetch_add(1, std::memory_order_relaxed);
    return AnswerOverloaded(std::move(done));
  }
  request->done = Holding(*std::move(share), std::move(done));
  Enqueue([this, request = std::move(request)]() mutable { RunMutation(std::move(request)); });
}

// In one hold of the mutex, unless blocks must be read: each hold is one for which a look-up may have to wait.
void ServedCache::RunMutation(std::unique_ptr<PendingMutation> request) {
  Answers answers;
  MutexLock lock(mutex_);
  Admit(request, answers);
  if (request == nullptr) return;
  const BlockDevice& device = *metadata_->device();
  const uint64_t write_errors = WriteErrors(device);
  const absl::StatusOr<uint32_t> removed = RunWithBlocksHolding(
      mutex_, metadata_->store(),
      [&](BlockSet& set) ABSL_NO_THREAD_SAFETY_ANALYSIS { return ApplyOnce(request->mutation, set); });
  if (removed.ok()) {
    AnswerApplied(std::move(request), *removed, answers);
  } else {
    HandleError(std::move(request), removed.status(), WriteErrors(device) != write_errors, answers);
  }
  UpdateGauges();
}

void ServedCache::Admit(std::unique_ptr<PendingMutation>& request, Answers& answers) {
  const Conditions& conditions = request->conditions;
  if (conditions.abandoned != nullptr && conditions.abandoned()) {
    return Refuse(std::move(request), CallerIsGone(), answers);
  }
  if (const absl::Status serving = CheckServing(); !serving.ok()) return Refuse(std::move(request), serving, answers);
  if (conditions.incarnation.has_value() && *conditions.incarnation != incarnation_) {
    return Refuse(std::move(request),
                  MakeError(Reason::kIncarnationChanged,
                            absl::StrCat("cache ", name_, " was opened again since: its incarnation is ", incarnation_,
                                         ", not ", *conditions.incarnation)),
                  answers);
  }
  if (const RequestIds::Entry* entry = request_ids_.Find(conditions.request_id);
      entry != nullptr && !conditions.request_id.empty() && !request->parked) {
    return AdmitRepeat(*entry, request, answers);
  }
  // After the repeats: what happened before damage was met did happen.
  if (const absl::Status writable = CheckWritable(); !writable.ok()) {
    return Refuse(std::move(request), writable, answers);
  }
  if (conditions.expected_revision.has_value() && *conditions.expected_revision != revision_) {
    return Refuse(std::move(request),
                  MakeError(Reason::kRevisionMismatch, absl::StrCat("cache ", name_, " is at revision ", revision_,
                                                                    ", not ", *conditions.expected_revision)),
                  answers);
  }
  // Both halves of the block cache are pinned: the commit in flight will free one.
  if (metadata_->memory_exhausted()) {
    RequestCommit(CommitTrigger::kPressure);
    Park(std::move(request), metadata_->transaction() - 1);
  }
}

void ServedCache::AdmitRepeat(const RequestIds::Entry& entry, std::unique_ptr<PendingMutation>& request,
                              Answers& answers) {
  if (entry.fingerprint != request->fingerprint) {
    const absl::Status reused = MakeError(
        Reason::kRequestIdReused,
        absl::StrCat("request id ", request->conditions.request_id, " was used for a request with other content"));
    return Refuse(std::move(request), reused, answers);
  }
  if (entry.parked) {
    std::string id = request->conditions.request_id;
    parked_.push_back({std::move(request), 0, std::move(id)});
    return;
  }
  MutationResult result = entry.result;
  if (result.incarnation != incarnation_) {  // From before a recovery, and durable: the caller goes on in this one.
    result.incarnation = incarnation_;
    result.revision = revision_;
    result.transaction = metadata_->durable_transaction();
  }
  AnswerMutation(result, AnswerAt(*request, entry.result.transaction, entry.answer_at), std::move(request->done),
                 answers);
  request.reset();
}

absl::Status ServedCache::CheckHeld(const InsertMappings& insert) const {
  const Duration now = Now();
  if (insert.reservation.has_value() && !reservations_.IsValid(*insert.reservation, incarnation_, now)) {
    return MakeError(Reason::kReservationExpired,
                     absl::StrCat("reservation ", absl::Hex(*insert.reservation, absl::kZeroPad16),
                                  " is unknown, over, released, or from another incarnation"));
  }
  if (!insert.reservation.has_value() && reservations_.held() == 0) return absl::OkStatus();
  for (size_t i = 0; i < insert.cblocks.size(); ++i) {
    const Cblock cblock(insert.cblocks[i]);
    // What is out of range or mapped is judged with everything else.
    if (!metadata_->IsFree(cblock)) continue;
    if (insert.reservation.has_value() && reservations_.HeldBy(*insert.reservation, cblock, now)) continue;
    if (reservations_.IsHeld(cblock, now)) {
      return MakeItemError(Reason::kCblockInUse, i,
                           absl::StrCat("insert into cblock ", cblock.value(), ": it is reserved by another caller"));
    }
    if (insert.reservation.has_value()) {
      return MakeItemError(Reason::kReservationExpired, i,
                           absl::StrCat("insert into cblock ", cblock.value(), ": reservation ",
                                        absl::Hex(*insert.reservation, absl::kZeroPad16), " does not hold it"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ServedCache::ApplyOnce(const Mutation& mutation, BlockSet& set) {
  const InsertMappings* insert = std::get_if<InsertMappings>(&mutation);
  if (insert != nullptr) DMCACHED_RETURN_IF_ERROR(CheckHeld(*insert));
  const Resize* resize = std::get_if<Resize>(&mutation);
  if (resize != nullptr && resize->origin_size.has_value()) {
    DMCACHED_RETURN_IF_ERROR(CheckOriginFits(*resize->origin_size));
  }
  absl::StatusOr<uint32_t> removed = metadata_->Apply(mutation, set);
  if (!set.complete() || !removed.ok()) return removed;
  ++revision_;
  ++applied_running_;
  if (insert != nullptr) {
    reservations_.Consume(insert->cblocks);
    last_insert_ = StateTransaction();
  }
  if (std::holds_alternative<BeginHints>(mutation)) PublishMetrics();
  if (resize != nullptr) {
    reservations_.DropFrom(Cblock(metadata_->cache_blocks()));
    if (resize->origin_size.has_value()) {
      options_.origin_size = resize->origin_size;
      origin_resized_ = StateTransaction();
    }
  }
  return removed;
}

bool ServedCache::NeedsDurableAnswer(const Mutation& mutation, const Conditions& conditions) const {
  // CONSERVATIVE: CLEAN_SHUTDOWN must be off the medium before anyone hears that something was applied.
  if (metadata_->dirty_tracking() == DirtyTracking::kConservative && metadata_->clean_on_medium()) return true;
  if (conditions.answer_when_applied) return false;
  return conditions.durable || IsAnsweredWhenDurable(mutation, metadata_->dirty_tracking());
}

uint64_t ServedCache::AnswerAt(const PendingMutation& request, uint64_t transaction, uint64_t when_applied) const {
  if (NeedsDurableAnswer(request.mutation, request.conditions)) return transaction;
  return request.conditions.answer_when_applied ? 0 : when_applied;
}

void ServedCache::AnswerApplied(std::unique_ptr<PendingMutation> request, uint32_t removed, Answers& answers) {
  const Conditions& conditions = request->conditions;
  if (!changed_since_.has_value() && metadata_->changed()) changed_since_ = Now();
  MutationResult result{.incarnation = incarnation_,
                        .revision = revision_,
                        .transaction = StateTransaction(),
                        .durable_transaction = metadata_->durable_transaction(),
                        .removed_count = removed};
  // A lazy mark counts only for a mapping that a crash cannot take away.
  const uint64_t answer_at = std::holds_alternative<MarkDirty>(request->mutation) ? last_insert_ : 0;
  if (!conditions.request_id.empty()) {
    request_ids_.Remember(conditions.request_id, request->fingerprint, result, answer_at, Now());
    Unpark(conditions.request_id);
  }
  const uint64_t until = AnswerAt(*request, result.transaction, answer_at);
  AnswerMutation(result, until, std::move(request->done), answers);
  RelieveMemory(answers);
}

void ServedCache::AnswerMutation(MutationResult result, uint64_t until, Callback<absl::StatusOr<MutationResult>> done,
                                 Answers& answers) {
  Await(
      until, CommitTrigger::kAck,
      [result, done = std::move(done)](absl::StatusOr<uint64_t> durable) mutable {
        if (!durable.ok()) return std::move(done)(std::move(durable).status());
        result.durable_transaction = *durable;
        std::move(done)(result);
      },
      answers);
}

void ServedCache::HandleError(std::unique_ptr<PendingMutation> request, const absl::Status& error, bool write_failed,
                              Answers& answers) {
  // A block that was to be written before the change: what the device holds of it is unknown.
  if (write_failed && MayBeOfDevice(error)) {
    Refuse(std::move(request), error, answers);
    return Fail(error, answers);
  }
  if (HasReason(error, Reason::kMetadataNoSpace)) return FindSpace(std::move(request), error, answers);
  if (HasReason(error, Reason::kMetadataCorrupt)) MeetDamage(error, answers);
  Refuse(std::move(request), error, answers);
}

// Blocks that S uses become free when N is durable, those that N alone uses with the commit after it; snapshots hold
// theirs until they are revoked.
void ServedCache::FindSpace(std::unique_ptr<PendingMutation> request, const absl::Status& error, Answers& answers) {
  // What readers have let go of since is free without more ado.
  if (!std::exchange(request->pruned, true)) {
    metadata_->store().PruneSnapshots();
    return Requeue(std::move(request));
  }
  if (writing_ != nullptr && !request->waited) {
    request->waited = true;
    return Park(std::move(request), metadata_->transaction() - 1);
  }
  if (!request->committed && (metadata_->changed() || writing_ != nullptr)) {
    request->committed = true;
    RequestCommit(CommitTrigger::kPressure);
    return Park(std::move(request), StateTransaction());
  }
  if (metadata_->store().RevokeOldestSnapshot()) {
    CountRevoked();
    return Requeue(std::move(request));
  }
  Refuse(std::move(request), error, answers);
}

void ServedCache::Refuse(std::unique_ptr<PendingMutation> request, const absl::Status& why, Answers& answers) {
  if (const std::optional<Reason> reason = ReasonOf(why); reason.has_value()) {
    counters_->rejected[static_cast<size_t>(*reason)].fetch_add(1, std::memory_order_relaxed);
  }
  if (request->parked) {
    request_ids_.Forget(request->conditions.request_id);
    Unpark(request->conditions.request_id);
  }
  const bool row = request->conditions.durable || IsAnsweredWhenDurable(request->mutation, tracking());
  if (!row || !StatesFact(why) || metadata_ == nullptr || !CheckServing().ok()) {
    return answers.Add(std::move(request->done), absl::StatusOr<MutationResult>(why));
  }
  Await(
      StateTransaction(), CommitTrigger::kAck,
      [why, done = std::move(request->done)](absl::StatusOr<uint64_t> durable) mutable {
        std::move(done)(durable.ok() ? why : std::move(durable).status());
      },
      answers);
}

void ServedCache::Park(std::unique_ptr<PendingMutation> request, uint64_t until) {
  if (!request->conditions.request_id.empty() && !request->parked) {
    request->parked = true;
    request_ids_.Park(request->conditions.request_id, request->fingerprint, Now());
  }
  parked_.push_back({std::move(request), until, {}});
}

template <typename Ready>
void ServedCache::UnparkIf(Ready ready) {
  const auto first = std::stable_partition(parked_.begin(), parked_.end(),
                                           [&](const ParkedMutation& parked) { return !ready(parked); });
  for (auto next = first; next != parked_.end(); ++next) Requeue(std::move(next->request));
  parked_.erase(first, parked_.end());
  if (!parked_.empty()) return;
  for (Task& task : std::exchange(when_unparked_, {})) Enqueue(std::move(task));
}

void ServedCache::Unpark(const std::string& id) {
  UnparkIf([&](const ParkedMutation& parked) { return parked.behind == id; });
}

void ServedCache::UnparkThrough(uint64_t durable) {
  UnparkIf([&](const ParkedMutation& parked) { return parked.behind.empty() && parked.until <= durable; });
}

void ServedCache::Requeue(std::unique_ptr<PendingMutation> request) {
  ++requeued_;
  Enqueue([this, request = std::move(request)]() mutable {
    {
      MutexLock lock(mutex_);
      --requeued_;
    }
    RunMutation(std::move(request));
  });
}

}  // namespace dmcached
