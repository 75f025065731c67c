#include "tests/crash/engine_history.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/le.h"
#include "core/base/status.h"
#include "core/cache/acknowledgement.h"
#include "core/cache/geometry.h"
#include "core/format/layout.h"
#include "tests/crash/image_judge.h"
#include "tests/support/device_handle.h"
#include "tests/support/image_walker.h"

namespace dmcached {
namespace {

constexpr uint64_t kBlockSizeSectors = 64;
constexpr uint64_t kOriginBlocks = 2500;

FormatParams ChooseParams(Random& random) {
  FormatParams params;
  params.version = random.OneIn(2) ? 1 : 2;
  params.data_block_size = Sectors(kBlockSizeSectors);
  params.cache_blocks = static_cast<uint32_t>(random.Between(100, 1100));
  params.origin_size = Sectors(kBlockSizeSectors * kOriginBlocks);
  params.policy_name = "smq";
  params.dirty_tracking = random.OneIn(3) ? DirtyTracking::kConservative : DirtyTracking::kExact;
  return params;
}

// From too small for four snapshots to four times what is live.
uint64_t ChooseDeviceBytes(Random& random) {
  return kMetadataBlockBytes * (random.OneIn(3) ? 44 : random.Between(60, 120));
}

bool IsClean(const IoEvent& superblock) {
  return (DiskView<DiskSuperblock>(superblock.data).flags.load() & kFlagCleanShutdown) != 0;
}

}  // namespace

RecordedHistory RecordHistory(uint64_t seed, int steps) { return EngineHistory(seed).Run(steps); }

EngineHistory::EngineHistory(uint64_t seed)
    : random_(seed),
      params_(ChooseParams(random_)),
      executors_(random_.Next()),
      device_(std::vector<std::byte>(ChooseDeviceBytes(random_))),
      model_(params_),
      with_faults_(random_.OneIn(2)),
      resizes_often_(random_.OneIn(3)),
      tracking_(params_.dirty_tracking) {
  limits_.max_cache_blocks = 1200;
  limits_.max_origin_blocks = kOriginBlocks;
  limits_.max_items = random_.OneIn(4) ? 60 : 8;
  // Small enough that requests wait for commits.
  options_.block_cache_bytes = kMetadataBlockBytes * (random_.OneIn(2) ? 6 : 64);
  options_.recover_interval = Duration{0};
  device_.set_observer([this](const IoEvent& event) { Observe(event); });
  device_.set_before_io([this] { Weave(); });
  history_.initial = device_.Image();
}

void EngineHistory::Fail(const std::string& what) {
  if (!failed()) history_.failure = what;
}

RecordedHistory EngineHistory::Run(int steps) {
  StartEngine();
  for (int step = 0; Create() && step < steps && !failed(); ++step) Step();
  if (open_ && !failed()) {
    device_.Freeze();
    executors_.RunUntilIdle();
    EndIncarnation();
  }
  device_.Freeze();
  snapshots_.clear();
  engine_.reset();
  executors_.RunUntilIdle();
  history_.points = points_.Take();
  return std::move(history_);
}

void EngineHistory::Step() {
  if (const CacheInfo info = *engine_->Get("c"); info.state == CacheState::kFailed) {
    return fault_injected_ ? Recover() : Fail("the cache failed: " + info.last_error);
  }
  if (random_.OneIn(30)) InjectFault();
  const uint64_t kind = random_.Below(98);
  if (kind < 58) return SendOne();
  if (kind < 78) return RunSome(20);
  if (kind < 84) return Commit();
  if (kind < 87) {
    clock_.Advance(std::chrono::milliseconds(600));
    return engine_->Tick();
  }
  if (kind < 91) return TakeSnapshot();
  if (kind < 94) return LookUp();
  if (kind < 96) return Kill(/*cut_power=*/false);
  if (kind < 97) return Kill(/*cut_power=*/true);
  CloseAndReopen();
}

// --- The device's side ---

void EngineHistory::Observe(const IoEvent& event) {
  if (!history_.boundaries.empty()) {
    // Nothing reached the medium since the last event, but somebody may have been told more.
    Boundary& last = history_.boundaries.back();
    std::erase_if(last.allowed, [&](size_t point) { return !points_.allowed().contains(point); });
    last.marked = marks_.marked();
  }
  const bool superblock = event.kind == IoEvent::Kind::kWrite && event.offset_bytes == 0;
  if (superblock && open_) points_.Begun(opened_at_ + ++superblocks_, IsClean(event));
  if (event.kind == IoEvent::Kind::kFlush && event.ok && !opening_.empty()) {
    points_.Settle(std::exchange(opening_, {}));
  }
  if (!event.ok) ++history_.numbers.failed_operations;
  history_.boundaries.push_back({event, points_.allowed(), marks_.marked()});
}

void EngineHistory::Weave() {
  // What other threads do while this one waits for the device.
  if (weaving_ || !random_.OneIn(3)) return;
  weaving_ = true;
  if (open_ && !device_.frozen() && random_.OneIn(4)) {
    // A reader lets go, the space map counts anew, and a request finds space, all beside the commit.
    if (!snapshots_.empty()) snapshots_.erase(snapshots_.begin());
    engine_->Get("c").IgnoreError();
    SendOne();
  }
  for (uint64_t i = random_.Below(8); i > 0; --i) executors_.RunOne();
  weaving_ = false;
}

// --- Callers ---

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
  const bool promised = request->wish == Wish::kWhenDurable || IsAnsweredWhenDurable(mutation, tracking_);
  if (promised && durable < result.transaction) {
    return Fail(absl::StrCat("request ", request->number, " of transaction ", result.transaction,
                             " was answered when only ", durable, " was durable"));
  }
  if (promised) ++history_.numbers.acknowledged_durable;
  points_.Durable(durable);
  marks_.Acknowledged(request->number, mutation);
}

void EngineHistory::Commit() {
  engine_->Commit("c", random_.OneIn(2), [this](const MutationAnswer& answer) {
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
  // In CONSERVATIVE an answer may wait for a commit although it is wanted when applied: see SendOne.
  if (!with_faults_ || tracking_ != DirtyTracking::kExact) return;
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

// --- The model follows ---

void EngineHistory::Learn(const std::shared_ptr<Request>& request, const MutationResult& result) {
  if (std::exchange(request->learned, true) || result.incarnation != incarnation_) return;
  results_[result.revision] = {request, result.transaction, result.durable_transaction};
  for (auto next = results_.begin(); next != results_.end() && next->first == model_revision_ + 1;
       next = results_.erase(next)) {
    ++model_revision_;
    ++history_.numbers.applied;
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
    ++history_.numbers.snapshots_read;
  }
}

// --- Lives and deaths ---

void EngineHistory::StartEngine() {
  ++options_.seed;
  const DeviceOpener opener = [this](const DeviceRequest&) { return std::make_unique<DeviceHandle>(device_); };
  engine_ = std::make_unique<Engine>(options_, opener, clock_, executors_, executors_.readers());
}

bool EngineHistory::Create() {
  if (open_ || history_.numbers.opens > 0) return open_;
  CreateOptions create;
  create.name = "c";
  create.metadata_path = "/meta";
  create.data_block_size = params_.data_block_size;
  create.cache_blocks = params_.cache_blocks;
  create.origin_size = params_.origin_size;
  create.version = params_.version;
  create.policy_name = params_.policy_name;
  create.dirty_tracking = params_.dirty_tracking;
  engine_->Create(create, [this](const absl::StatusOr<CacheInfo>& created) {
    if (!created.ok()) return Fail(absl::StrCat("create: ", created.status().ToString()));
    open_ = true;
    incarnation_ = created->incarnation;
    opened_at_ = created->durable_transaction;
    points_.BeginIncarnation(opened_at_, points_.Add(model_.durable()));
  });
  executors_.RunUntilIdle();
  origin_ = params_.origin_size;
  model_transaction_ = opened_at_ + 1;
  ++history_.numbers.opens;
  return open_;
}

void EngineHistory::Kill(bool cut_power) {
  ++history_.numbers.kills;
  device_.FreezeAfter(random_.Below(14));
  for (uint64_t i = random_.Below(5); i > 0; --i) SendOne();
  if (random_.OneIn(2)) Commit();
  RunSome(60);
  device_.Freeze();
  // What the process would have done had it lived tells what it had applied when it died.
  executors_.RunUntilIdle();
  EndIncarnation();
  snapshots_.clear();
  engine_.reset();
  executors_.RunUntilIdle();
  if (cut_power) {
    ++history_.numbers.power_cuts;
    device_.CutPower(random_.Next());
  }
  device_.Thaw();
  StartEngine();
  Reopen(/*recover=*/false, /*mid_open=*/random_.OneIn(3));
}

void EngineHistory::CloseAndReopen() {
  executors_.RunUntilIdle();
  if (engine_->Get("c")->state == CacheState::kFailed) return Recover();
  snapshots_.clear();
  absl::Status closed = absl::UnknownError("not answered");
  engine_->Close("c", {}, [&](absl::Status status) { closed = std::move(status); });
  executors_.RunUntilIdle();
  if (!closed.ok()) {
    if (engine_->Get("c")->state == CacheState::kFailed) return Recover();
    return Fail(absl::StrCat("close: ", closed.ToString()));
  }
  // Whoever was told that it is closed counts on what it left: everything that was applied.
  points_.Durable(opened_at_ + superblocks_);
  EndIncarnation();
  if (failed()) return;
  if (model_transaction_ > opened_at_ + superblocks_ + 1) return Fail("a clean close did not commit everything");
  engine_->Tick();
  ++history_.numbers.clean_closes;
  const WalkedImage left = WalkImage(device_.Image());
  if (!left.contents.clean_shutdown) return Fail("a clean close left CLEAN_SHUTDOWN clear");
  device_.ClearFaults();
  Reopen(/*recover=*/false, /*mid_open=*/false);
}

void EngineHistory::Recover() {
  executors_.RunUntilIdle();
  EndIncarnation();
  if (failed()) return;
  snapshots_.clear();
  device_.ClearFaults();
  // Which size a cache that failed during a resize of its origin goes on with is not foretold here.
  if (origin_resized_ || random_.OneIn(2)) {
    device_.Freeze();
    engine_.reset();
    executors_.RunUntilIdle();
    device_.Thaw();
    StartEngine();
    return Reopen(/*recover=*/false, /*mid_open=*/random_.OneIn(3));
  }
  Reopen(/*recover=*/true, /*mid_open=*/false);
}

bool EngineHistory::CheckView(CacheContents& medium) {
  const WalkedImage view = WalkImage(device_.Image());
  medium = view.contents;
  if (const std::string faults = view.Faults(); !faults.empty()) {
    Fail("damage before an open: " + faults);
  } else if (!FindPoint(medium, points_.all(), points_.allowed()).has_value()) {
    Fail("before an open, the device shows no commit point that may be there");
  } else if (const std::string missing = MissingMark(Opened(medium, tracking_), *marks_.marked()); !missing.empty()) {
    Fail("before an open: " + missing);
  }
  return !failed();
}

std::optional<Sectors> EngineHistory::ChooseOrigin(const CacheContents& medium) {
  if (!random_.OneIn(3)) return std::nullopt;
  uint64_t highest = 0;
  for (const auto& [cblock, to] : medium.mappings) highest = std::max(highest, to.oblock);
  return Sectors(kBlockSizeSectors * (highest + 1 + random_.Below(100)));
}

void EngineHistory::Reopen(bool recover, bool mid_open) {
  CacheContents medium;
  if (failed() || !CheckView(medium)) return;
  fault_injected_ = false;
  OpenOptions open;
  open.name = "c";
  open.metadata_path = "/meta";
  open.recover = recover;
  open.assume_unclean = random_.OneIn(10);
  if (!recover) {
    tracking_ = random_.OneIn(6) ? DirtyTracking::kConservative : params_.dirty_tracking;
    open.origin_size = ChooseOrigin(medium);
  } else {
    open.origin_size = origin_;
  }
  open.dirty_tracking = tracking_;
  origin_ = open.origin_size;
  origin_resized_ = false;
  const bool adopts = !medium.clean_shutdown || open.assume_unclean;
  if (adopts) ++history_.numbers.adoptions;
  const PointSet before = points_.allowed();
  PointSet during = {points_.Add(medium)};
  if (adopts || tracking_ == DirtyTracking::kConservative) {
    CacheContents unclean = medium;
    unclean.clean_shutdown = false;
    during.insert(points_.Add(unclean));
  }
  model_.Reopen(medium, tracking_, open.assume_unclean, std::nullopt);
  during.insert(points_.Add(model_.durable()));
  model_.Reopen(medium, tracking_, open.assume_unclean, open.origin_size);
  during.insert(points_.Add(model_.durable()));
  CallOpen(std::move(open), mid_open, during);
}

void EngineHistory::CallOpen(OpenOptions options, bool mid_open, const PointSet& during) {
  opening_ = during;
  if (mid_open) device_.FreezeAfter(random_.Below(8));
  absl::StatusOr<OpenResult> opened = absl::UnknownError("not answered");
  const bool recover = options.recover;
  engine_->Open(std::move(options), [&](absl::StatusOr<OpenResult> result) { opened = std::move(result); });
  executors_.RunUntilIdle();
  ++history_.numbers.opens;
  if (!opened.ok()) return Fail(absl::StrCat(recover ? "recover: " : "open: ", opened.status().ToString()));
  if (mid_open && device_.frozen()) {
    ++history_.numbers.kills;
    opening_.clear();
    engine_.reset();
    executors_.RunUntilIdle();
    device_.Thaw();
    StartEngine();
    return Reopen(/*recover=*/false, /*mid_open=*/false);
  }
  device_.StayAlive();
  opening_.clear();
  open_ = true;
  incarnation_ = opened->info.incarnation;
  opened_at_ = opened->info.durable_transaction;
  superblocks_ = 0;
  model_transaction_ = opened_at_ + 1;
  model_revision_ = 0;
  results_.clear();
  states_[opened_at_] = model_.durable();
  points_.BeginIncarnation(opened_at_, *during.rbegin());
}

}  // namespace dmcached
