// EngineHistory: the lives of the process, from an open to a clean close, a failure, a kill or a power cut.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/crash/engine_history.h"
#include "tests/crash/image_judge.h"
#include "tests/support/image_walker.h"

namespace dmcached {

void EngineHistory::StartEngine() {
  ++options_.seed;
  const DeviceOpener opener = [this](const DeviceRequest&) {
    return std::make_unique<GappedDevice>(device_, image_.gap);
  };
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

void EngineHistory::OpenFormatted() {
  points_.Settle({points_.Add(WalkImage(history_.initial, image_.gap).contents)});
  Reopen(/*recover=*/false, /*mid_open=*/false);
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
  const WalkedImage left = WalkImage(device_.Image(), image_.gap);
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
  const WalkedImage view = WalkImage(device_.Image(), image_.gap);
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
  return Sectors(params_.data_block_size.value() * (highest + 1 + random_.Below(100)));
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
