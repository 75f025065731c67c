#include "tests/crash/engine_history.h"

#include <chrono>
#include <utility>

#include "core/base/le.h"
#include "core/format/layout.h"

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

// One history in twenty has two bitmaps.
bool HasGap(uint64_t seed) { return seed % 20 == 10; }

// As small as the smallest device, so that allocation goes round and round.
GappedImage ChooseImage(Random& random, const FormatParams& params, bool has_gap) {
  if (!has_gap) return {.gap = {}, .kept = std::vector<std::byte>(ChooseDeviceBytes(random))};
  const uint64_t below = random.Between(2, 6);
  return FormatGapped(params, below, random.Between(20, 30));
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
      image_(ChooseImage(random_, params_, HasGap(seed))),
      device_(image_.kept),
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
  history_.initial = image_.kept;
  history_.gap = image_.gap;
}

void EngineHistory::Fail(const std::string& what) {
  if (!failed()) history_.failure = what;
}

RecordedHistory EngineHistory::Run(int steps) {
  StartEngine();
  if (!image_.gap.empty()) OpenFormatted();
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

}  // namespace dmcached
