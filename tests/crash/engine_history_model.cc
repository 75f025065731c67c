// EngineHistory: the model follows what was applied, in the order of revisions, and tells what each commit point holds.
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tests/crash/engine_history.h"

namespace dmcached {

void EngineHistory::Learn(const std::shared_ptr<Request>& request, const MutationResult& result) {
  if (std::exchange(request->learned, true) || result.incarnation != incarnation_) return;
  results_[result.revision] = {request, result.transaction, result.durable_transaction};
  for (auto next = results_.begin(); next != results_.end() && next->first == model_revision_ + 1;
       next = results_.erase(next)) {
    ++model_revision_;
    ++history_.numbers.applied;
    ++history_.numbers.applied_of_kind[next->second.request->mutation->mutation().index()];
    while (model_transaction_ < next->second.transaction) AdvanceModel();
    const Mutation& mutation = next->second.request->mutation->mutation();
    std::set<Reason> faults = model_.Faults(mutation);
    if (faults == std::set<Reason>{Reason::kCblockInUse} && next->second.durable + 1 >= model_transaction_) {
      model_.Finish();  // The commit before may have ended already.
      faults = model_.Faults(mutation);
    }
    if (!faults.empty()) {
      return Fail(absl::StrCat("request ", next->second.request->number, " was accepted, the model says ",
                               ReasonName(*faults.begin())));
    }
    model_.Apply(mutation);
  }
}

void EngineHistory::AdvanceModel() {
  states_[model_transaction_++] = model_.running();
  model_.Finish();
  model_.Prepare(false);
}

void EngineHistory::EndIncarnation() {
  if (!results_.empty()) return Fail("a request was applied and never answered");
  for (const auto& [transaction, unfilled] : points_.unfilled()) {
    while (model_transaction_ <= transaction) AdvanceModel();
    CacheContents& contents = points_.at(unfilled.point);
    contents = states_.at(transaction);
    // In CONSERVATIVE nothing but the superblock tells which of several wishes a commit followed; what must hold if it
    // is set is judged by the acknowledged marks.
    contents.clean_shutdown = tracking_ == DirtyTracking::kExact || unfilled.clean;
    ++history_.numbers.commits;
  }
  points_.unfilled().clear();
  CheckSnapshots();
  snapshots_.clear();
  states_.clear();
  marks_.ForgetOutstanding();
  open_ = false;
  for (const CacheMetrics& metrics : engine_->Metrics()) {
    const auto& commits = metrics.counters->commits;
    history_.numbers.pressure_commits += commits[static_cast<size_t>(CommitTrigger::kPressure)].load();
  }
}

void EngineHistory::CheckSnapshots() {
  for (const auto& snapshot : snapshots_) {
    const auto state = states_.find(snapshot->transaction());
    if (snapshot->incarnation() != incarnation_ || state == states_.end()) continue;
    const auto page = snapshot->ReadMappings({}, Cblock(0), limits_.max_cache_blocks + 1);
    if (!page.ok()) {
      // Asked for after a failure or when space was short.
      if (HasReason(page.status(), Reason::kSnapshotRevoked)) continue;
      return Fail(absl::StrCat("a snapshot cannot be read: ", page.status().ToString()));
    }
    std::map<uint32_t, MappedTo> mappings;
    for (size_t i = 0; i < page->cblocks.size(); ++i) {
      mappings[page->cblocks[i]] = {.oblock = page->oblocks[i], .dirty = page->dirty[i] != 0};
    }
    if (mappings != state->second.mappings) return Fail("a snapshot is not the state that it was taken of");
    const auto discards = snapshot->ReadDiscards(Dblock(0), limits_.max_origin_blocks + 1);
    if (!discards.ok()) continue;  // Revoked since.
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    for (size_t i = 0; i < discards->begins.size(); ++i) ranges.emplace_back(discards->begins[i], discards->ends[i]);
    if (ranges != RangesOf(state->second.discards)) return Fail("a snapshot has the discards of another state");
    ++history_.numbers.snapshots_read;
  }
}

}  // namespace dmcached
