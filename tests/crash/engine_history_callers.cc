// EngineHistory: what callers ask for, and what their answers promise.
#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/crash/engine_history.h"
#include "tests/support/image_walker.h"

namespace dmcached {
namespace {

// What API.md promises (acknowledgement), not what the engine makes of it: true if the answer comes when durable.
bool PromisedDurable(const Mutation& mutation, DirtyTracking tracking) {
  if (std::holds_alternative<MarkDirty>(mutation)) return tracking == DirtyTracking::kExact;
  if (const auto* insert = std::get_if<InsertMappings>(&mutation)) {
    return std::find(insert->dirty.begin(), insert->dirty.end(), true) != insert->dirty.end();
  }
  return std::holds_alternative<RemoveMappings>(mutation) || std::holds_alternative<ClearDiscards>(mutation) ||
         std::holds_alternative<BeginHints>(mutation) || std::holds_alternative<Resize>(mutation);
}

}  // namespace

void EngineHistory::RunSome(uint64_t most) {
  for (uint64_t i = random_.Below(most + 1); i > 0; --i) executors_.RunOne();
}

std::unique_ptr<RandomMutation> EngineHistory::PickMutation() {
  auto mutation = std::make_unique<RandomMutation>(model_, limits_, random_);
  // Blocks that are written in bulk, beside the commit in flight.
  if (!resizes_often_ || !random_.OneIn(4)) return mutation;
  for (int i = 0; i < 60 && !std::holds_alternative<Resize>(mutation->mutation()); ++i) {
    mutation = std::make_unique<RandomMutation>(model_, limits_, random_);
  }
  return mutation;
}

void EngineHistory::SendOne() {
  auto request = std::make_shared<Request>();
  request->number = ++requests_;
  request->mutation = PickMutation();
  const Mutation& mutation = request->mutation->mutation();
  const bool resize = std::holds_alternative<Resize>(mutation);
  // After a failure the repeat that would tell what was applied gets no answer.
  const uint64_t first = with_faults_ ? 1 : 0;
  request->wish = resize ? Wish::kWhenDurable : static_cast<Wish>(random_.Between(first, 2));
  if (resize && std::get<Resize>(mutation).origin_size.has_value()) origin_resized_ = true;
  marks_.Sent(request->number, mutation);
  ++history_.numbers.requests;
  Apply(request, request->wish != Wish::kAnswer);
  if (request->wish != Wish::kWhenDurable) Apply(request, request->wish == Wish::kAnswer);
}

void EngineHistory::Apply(const std::shared_ptr<Request>& request, bool when_applied) {
  Conditions conditions;
  conditions.answer_when_applied = when_applied;
  if (request->wish != Wish::kWhenDurable) conditions.request_id = absl::StrCat("request-", request->number);
  engine_->Apply("c", request->mutation->mutation(), conditions,
                 [this, request, when_applied](const MutationAnswer& answer) { Heard(request, when_applied, answer); });
}

void EngineHistory::Heard(const std::shared_ptr<Request>& request, bool when_applied, const MutationAnswer& answer) {
  if (!answer.ok()) {
    const bool repeat = request->wish != Wish::kWhenDurable && when_applied == (request->wish == Wish::kAnswer);
    if (!request->learned && !repeat) marks_.Answered(request->number);
    return;
  }
  Learn(request, *answer);
  marks_.Answered(request->number);
  if (!when_applied) return HeardDurable(request, *answer, answer->durable_transaction);
  if (!device_.frozen() && answer->incarnation == incarnation_) points_.Durable(answer->durable_transaction);
  if (request->wish != Wish::kWhenDurable) return;
  engine_->WhenDurable("c", answer->incarnation, answer->transaction, random_.OneIn(2),
                       [this, request, result = *answer](const absl::StatusOr<uint64_t>& durable) {
                         if (durable.ok()) HeardDurable(request, result, *durable);
                       });
}

void EngineHistory::HeardDurable(const std::shared_ptr<Request>& request, const MutationResult& result,
                                 uint64_t durable) {
  if (device_.frozen() || result.incarnation != incarnation_) return;
  const Mutation& mutation = request->mutation->mutation();
  const bool promised = request->wish == Wish::kWhenDurable || PromisedDurable(mutation, tracking_);
  if (promised && durable < result.transaction) {
    return Fail(absl::StrCat("request ", request->number, " of transaction ", result.transaction,
                             " was answered when only ", durable, " was durable"));
  }
  if (promised) ++history_.numbers.acknowledged_durable;
  points_.Durable(durable);
  marks_.Acknowledged(request->number, mutation);
}

void EngineHistory::Commit() {
  const bool clean = random_.OneIn(2) && !(fault_injected_ && tracking_ == DirtyTracking::kConservative);
  engine_->Commit("c", clean, [this](const MutationAnswer& answer) {
    if (!answer.ok() || device_.frozen() || answer->incarnation != incarnation_) return;
    points_.Durable(std::max(answer->transaction, answer->durable_transaction));
  });
}

void EngineHistory::LookUp() {
  auto cblocks = std::make_shared<std::vector<uint32_t>>();
  for (int i = 0; i < 5; ++i) cblocks->push_back(static_cast<uint32_t>(random_.Below(limits_.max_cache_blocks)));
  engine_->Lookup("c", {.cblocks = *cblocks, .oblocks = {}, .durable = random_.OneIn(2)},
                  [cblocks](const absl::StatusOr<LookupResult>&) {});
}

void EngineHistory::TakeSnapshot() {
  if (random_.OneIn(3)) {
    snapshots_.clear();
    return;
  }
  engine_->TakeSnapshot("c", [this](absl::StatusOr<std::shared_ptr<CacheSnapshot>> snapshot) {
    if (!snapshot.ok()) return;
    ++history_.numbers.snapshots;
    snapshots_.push_back(*std::move(snapshot));
  });
}

void EngineHistory::InjectFault() {
  if (!with_faults_) return;
  if (tracking_ == DirtyTracking::kConservative) {
    // As long as the medium says clean, all answers wait for a commit, and its failure would hide what was applied.
    executors_.RunUntilIdle();
    if (WalkImage(device_.Image(), image_.gap).contents.clean_shutdown) return;
  }
  fault_injected_ = true;
  switch (random_.Below(3)) {
    case 0:
      return device_.FailWrite(random_.Below(4));
    case 1:
      return device_.FailWriteForSpace(random_.Below(4));
    default:
      return device_.FailFlush(random_.Below(4));
  }
}

}  // namespace dmcached
