// What a process does that opens a crashed image: recorded, so that it can be cut as well.
#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/cache/cache_metadata.h"
#include "tests/crash/commit_points.h"
#include "tests/crash/crash_sweep.h"
#include "tests/crash/gapped_device.h"
#include "tests/crash/image_judge.h"
#include "tests/support/cache_model.h"
#include "tests/support/open_cache.h"
#include "tests/support/random_mutation.h"

namespace dmcached {
namespace {

constexpr int kCommits = 2;
constexpr int kMutations = 3;

class ReopenHistory {
 public:
  ReopenHistory(std::span<const std::byte> image, const Gap& gap, const MarkedCblocks& marked, uint64_t seed)
      : random_(seed),
        recording_(image),
        device_(std::make_shared<GappedDevice>(recording_, gap)),
        marked_(std::make_shared<const MarkedCblocks>(marked)),
        model_(FormatParams{}) {
    history_.initial.assign(image.begin(), image.end());
    history_.gap = gap;
    recording_.set_observer([this](const IoEvent& event) {
      history_.boundaries.push_back({event, points_.allowed(), marked_});
    });
  }

  RecordedHistory Run(const CacheContents& medium, DirtyTracking tracking) {
    points_.Add(medium);
    if (!medium.clean_shutdown || tracking == DirtyTracking::kConservative) {
      CacheContents unclean = medium;
      unclean.clean_shutdown = false;
      points_.Add(unclean);
    }
    model_.Reopen(medium, tracking, /*assume_unclean=*/false, std::nullopt);
    points_.Add(model_.durable());
    OpenParams params;
    params.dirty_tracking = tracking;
    params.block_cache_bytes = 16 * kMetadataBlockBytes;
    auto cache = CacheMetadata::Open(device_, params, NewCounters());
    if (!cache.ok()) {
      history_.failure = absl::StrCat("it does not open: ", cache.status().ToString());
    } else {
      // From the open on there may be clears: only marks that nobody touches stay.
      marked_ = std::make_shared<const MarkedCblocks>();
      for (int i = 0; i < kCommits && history_.failure.empty(); ++i) MutateAndCommit(**cache);
    }
    recording_.set_observer(nullptr);
    history_.points = points_.Take();
    return std::move(history_);
  }

 private:
  void MutateAndCommit(CacheMetadata& cache) {
    MutationLimits limits;
    limits.max_cache_blocks = 1200;
    limits.max_origin_blocks = 2500;
    limits.max_items = 8;
    for (int i = 0; i < kMutations; ++i) {
      const RandomMutation request(model_, limits, random_);
      if (ApplyNow(cache, request.mutation()).ok()) model_.Apply(request.mutation());
    }
    const bool clean = random_.OneIn(2);
    auto batch = cache.Prepare(clean);
    if (!batch.ok()) {
      history_.failure = absl::StrCat("opened again, it does not commit: ", batch.status().ToString());
      return;
    }
    model_.Prepare(clean);
    const size_t begun = points_.Add(model_.committing());
    const std::atomic<bool> stop = false;
    const absl::Status written = (*batch)->Write(*device_, stop);
    if (!written.ok()) history_.failure = absl::StrCat("opened again, it cannot be written: ", written.ToString());
    cache.Finish(*std::move(batch));
    model_.Finish();
    points_.Settle({begun});
    history_.boundaries.back().allowed = points_.allowed();
  }

  Random random_;
  RecordingDevice recording_;
  const std::shared_ptr<GappedDevice> device_;
  std::shared_ptr<const MarkedCblocks> marked_;
  CacheModel model_;
  CommitPoints points_;
  RecordedHistory history_;
};

}  // namespace

RecordedHistory RecordReopen(std::span<const std::byte> image, const Gap& gap, const CacheContents& medium,
                             DirtyTracking tracking, const MarkedCblocks& marked, uint64_t seed) {
  return ReopenHistory(image, gap, marked, seed).Run(medium, tracking);
}

}  // namespace dmcached
