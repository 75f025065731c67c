// ServedCache: look-ups, reservations and snapshots.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/served_cache.h"

namespace dmcached {
namespace {

// More are not looked up in the caller's thread, even if all blocks are resident.
constexpr size_t kMaxInlineItems = 256;
// Some 30 to 100 us: a batch or a part of a commit is mostly through by then, and handing the work to another thread
// takes as long.
constexpr int kLockTries = 1000;

}  // namespace

void ServedCache::Lookup(LookupRequest request, Callback<absl::StatusOr<LookupResult>> done) {
  if (request.durable && !Hold(done)) return;
  if (LookupInline(request, done)) return;
  auto pending = std::make_shared<PendingLookup>(PendingLookup{request, std::move(done)});
  const bool taken = environment_.readers.Schedule([this, admission = admission_, name = name_, pending] {
    if (!admission->Enter()) return std::move(pending->done)(NotOpen(name));
    RunLookup(*pending);
    admission->Leave();
  });
  if (!taken) AnswerOverloaded(std::move(pending->done));
}

bool ServedCache::LookupInline(const LookupRequest& request, Callback<absl::StatusOr<LookupResult>>& done) {
  if (request.cblocks.size() + request.oblocks.size() > kMaxInlineItems) return false;
  Answers answers;
  if (!mutex_.TryLock(kLockTries)) return false;
  bool complete = true;
  absl::StatusOr<LookupResult> result = LookupResult();
  if (const absl::Status serving = CheckServing(); !serving.ok()) {
    result = serving;
  } else {
    BlockSet set(metadata_->store());
    set.Begin();
    result = LookupOnce(request, set);
    complete = set.complete();
    set.Unpin();
  }
  if (complete) AnswerLookup(request.durable, std::move(result), std::move(done), answers);
  mutex_.Unlock();
  return complete;
}

void ServedCache::RunLookup(PendingLookup& lookup) {
  Answers answers;
  MutexLock lock(mutex_);
  if (absl::Status serving = CheckServing(); !serving.ok()) {
    return answers.Add(std::move(lookup.done), absl::StatusOr<LookupResult>(std::move(serving)));
  }
  ++lookups_;
  absl::StatusOr<LookupResult> result = RunWithBlocksHolding(
      mutex_, metadata_->store(),
      [&](BlockSet& set) ABSL_NO_THREAD_SAFETY_ANALYSIS { return LookupOnce(lookup.request, set); });
  if (--lookups_ == 0) lookups_done_.NotifyAll();
  if (HasReason(result.status(), Reason::kMetadataCorrupt)) ReportDamage(result.status());
  AnswerLookup(lookup.request.durable, std::move(result), std::move(lookup.done), answers);
}

absl::StatusOr<LookupResult> ServedCache::LookupOnce(const LookupRequest& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckServing());
  std::vector<LookedUp> found;
  DMCACHED_RETURN_IF_ERROR(request.oblocks.empty() ? metadata_->LookupCblocks(request.cblocks, set, found)
                                                   : metadata_->LookupOblocks(request.oblocks, set, found));
  LookupResult result;
  if (!set.complete()) return result;
  const bool hints = metadata_->hints_valid();
  const bool stored = metadata_->must_assume_all_dirty();
  result.mapped.reserve(found.size());
  result.cblocks.reserve(found.size());
  result.oblocks.reserve(found.size());
  result.dirty.reserve(found.size());
  for (const LookedUp& item : found) {
    result.mapped.push_back(item.mapped ? 1 : 0);
    result.cblocks.push_back(item.cblock.value());
    result.oblocks.push_back(item.oblock.value());
    result.dirty.push_back(item.dirty ? 1 : 0);
    if (stored) result.dirty_stored.push_back(item.dirty_stored ? 1 : 0);
    if (hints) result.hints.push_back(item.hint);
  }
  result.incarnation = incarnation_;
  result.revision = revision_;
  result.transaction = StateTransaction();
  result.durable_transaction = metadata_->durable_transaction();
  return result;
}

void ServedCache::AnswerLookup(bool durable, absl::StatusOr<LookupResult> result,
                               Callback<absl::StatusOr<LookupResult>> done, Answers& answers) {
  if (!durable || !result.ok()) return answers.Add(std::move(done), std::move(result));
  // A failure or a close between the look-up and here.
  if (absl::Status serving = CheckServing(); !serving.ok()) {
    return answers.Add(std::move(done), absl::StatusOr<LookupResult>(std::move(serving)));
  }
  const uint64_t until = result->transaction;
  Await(
      until, CommitTrigger::kAck,
      [result = *std::move(result), done = std::move(done)](absl::StatusOr<uint64_t> settled) mutable {
        if (!settled.ok()) return std::move(done)(std::move(settled).status());
        result.durable_transaction = *settled;
        std::move(done)(std::move(result));
      },
      answers);
}

absl::StatusOr<Stats> ServedCache::GetStats() const {
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckServing());
  return metadata_->stats();
}

void ServedCache::Reserve(uint32_t count, Duration ttl, std::function<bool()> abandoned,
                          Callback<absl::StatusOr<Reservation>> done) {
  if (!Hold(done)) return;
  Enqueue([this, count, ttl, abandoned = std::move(abandoned), done = std::move(done)]() mutable {
    Answers answers;
    MutexLock lock(mutex_);
    // Nobody would hear what is held for them.
    const bool gone = abandoned != nullptr && abandoned();
    answers.Add(std::move(done), gone ? absl::StatusOr<Reservation>(CallerIsGone()) : MakeReservation(count, ttl));
  });
}

absl::StatusOr<Reservation> ServedCache::MakeReservation(uint32_t count, Duration ttl) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  const std::string what = absl::StrCat("reserve ", count, " cblocks of cache ", name_);
  if (count == 0) return MakeError(Reason::kInvalidRequest, absl::StrCat(what, ": at least one"));
  if (count > kMaxItemsPerRequest) {
    return MakeError(Reason::kTooManyItems, absl::StrCat(what, ": at most ", kMaxItemsPerRequest));
  }
  const Duration now = Now();
  if (const Duration left = reservations_.HoldoffLeft(now); left > Duration{0}) {
    const auto left_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return MakeError(Reason::kReserveHoldoff,
                     absl::StrCat(what, ": callers from before the open may hold any for another ", left_ms, " ms"));
  }
  reservations_.Expire(now);
  Reservation reservation{.id = environment_.random(), .cblocks = {}, .ttl = ttl, .incarnation = incarnation_};
  const Duration longest = environment_.options.max_reservation_ttl;
  if (ttl <= Duration{0} || ttl > longest) reservation.ttl = longest;
  reservation.cblocks.reserve(count);
  metadata_->VisitFree([&](Cblock cblock) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    if (!reservations_.IsHeld(cblock, now)) reservation.cblocks.push_back(cblock.value());
    return reservation.cblocks.size() < count;
  });
  if (reservation.cblocks.size() < count) {
    return MakeError(Reason::kNoFreeCblocks, absl::StrCat(what, ": only ", reservation.cblocks.size(), " are free"));
  }
  std::sort(reservation.cblocks.begin(), reservation.cblocks.end());
  reservations_.Add(reservation.id, incarnation_, reservation.cblocks, now + reservation.ttl);
  return reservation;
}

void ServedCache::Release(uint64_t reservation, Callback<absl::StatusOr<uint32_t>> done) {
  if (!Hold(done)) return;
  Enqueue([this, reservation, done = std::move(done)]() mutable {
    Answers answers;
    MutexLock lock(mutex_);
    answers.Add(std::move(done), DropReservation(reservation));
  });
}

absl::StatusOr<uint32_t> ServedCache::DropReservation(uint64_t reservation) {
  DMCACHED_RETURN_IF_ERROR(CheckServing());
  if (const std::optional<uint32_t> held = reservations_.Release(reservation, Now()); held.has_value()) return *held;
  return MakeError(Reason::kReservationExpired,
                   absl::StrCat("release reservation ", absl::Hex(reservation, absl::kZeroPad16),
                                ": it is unknown, over or released"));
}

void ServedCache::TakeSnapshot(Callback<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> done) {
  if (!Hold(done)) return;
  Enqueue([this, done = std::move(done)]() mutable {
    using Result = absl::StatusOr<std::shared_ptr<CacheSnapshot>>;
    Answers answers;
    MutexLock lock(mutex_);
    if (absl::Status serving = CheckServing(); !serving.ok()) {
      return answers.Add(std::move(done), Result(std::move(serving)));
    }
    Await(
        StateTransaction(), CommitTrigger::kRpc,
        [this, done = std::move(done)](const absl::StatusOr<uint64_t>& durable) mutable {
          Answers late;
          MutexLock again(mutex_);
          const absl::Status status = durable.ok() ? CheckServing() : durable.status();
          late.Add(std::move(done), status.ok() ? Result(MakeSnapshot()) : Result(status));
        },
        answers);
  });
}

absl::Status ServedCache::NoteCheck(const CheckVerdict& verdict, Answers& answers) {
  (verdict.complete ? counters_->checks_ended : counters_->checks_failed).fetch_add(1, std::memory_order_relaxed);
  if (!verdict.complete) return absl::OkStatus();
  counters_->last_check_seconds.store(WallSeconds());
  counters_->last_check_errors.store(verdict.errors);
  DMCACHED_RETURN_IF_ERROR(CheckServing());
  if (incarnation_ != verdict.incarnation) {
    return MakeError(Reason::kIncarnationChanged, absl::StrCat("cache ", name_, " was opened anew during its check"));
  }
  if (!verdict.damage.ok()) MeetDamage(verdict.damage, answers);
  return absl::OkStatus();
}

void ServedCache::FinishCheck(CheckVerdict verdict, Callback<absl::StatusOr<bool>> done) {
  Enqueue([this, verdict = std::move(verdict), done = std::move(done)]() mutable {
    Answers answers;
    MutexLock lock(mutex_);
    if (absl::Status noted = NoteCheck(verdict, answers); !noted.ok()) {
      return answers.Add(std::move(done), absl::StatusOr<bool>(std::move(noted)));
    }
    const bool clear = verdict.complete && verdict.clear_needs_check && verdict.errors == 0;
    if (!clear || state_ != CacheState::kNeedsCheck || !metadata_->needs_check()) {
      return answers.Add(std::move(done), absl::StatusOr<bool>(false));
    }
    // The state stays: what is in memory was not checked.
    metadata_->ClearNeedsCheck();
    Await(
        metadata_->transaction(), CommitTrigger::kRpc,
        [done = std::move(done)](const absl::StatusOr<uint64_t>& durable) mutable {
          std::move(done)(durable.ok() ? absl::StatusOr<bool>(true) : absl::StatusOr<bool>(durable.status()));
        },
        answers);
  });
}

std::shared_ptr<CacheSnapshot> ServedCache::MakeSnapshot() {
  auto reader = std::make_shared<SnapshotReader>(
      SnapshotReader::Source{.device = metadata_->device(),
                             .snapshot = metadata_->store().TakeSnapshot(),
                             .incarnation = incarnation_,
                             .assume_all_dirty = metadata_->must_assume_all_dirty(),
                             .on_damage =
                                 [this, admission = admission_](const absl::Status& damage) {
                                   if (!admission->Enter()) return;
                                   ReportDamage(damage);
                                   admission->Leave();
                                 }},
      environment_.clock);
  CountRevoked();
  snapshots_.push_back(reader);
  counters_->snapshots.store(metadata_->store().PruneSnapshots());
  return reader;
}

void ServedCache::CountRevoked() {
  std::erase_if(snapshots_, [&](const std::weak_ptr<SnapshotReader>& snapshot) {
    const std::shared_ptr<SnapshotReader> reader = snapshot.lock();
    if (reader == nullptr) return true;
    if (!reader->revoked()) return false;
    counters_->snapshots_revoked.fetch_add(1, std::memory_order_relaxed);
    return true;
  });
}

void ServedCache::EndSnapshots() {
  std::vector<std::shared_ptr<SnapshotReader>> readers;
  {
    MutexLock lock(mutex_);
    for (const auto& snapshot : std::exchange(snapshots_, {})) {
      if (auto reader = snapshot.lock()) readers.push_back(std::move(reader));
    }
  }
  for (const auto& reader : readers) reader->Detach();
}

}  // namespace dmcached
