// Power is cut at any write or flush of a random history: what is opened afterwards is the state at a commit, not
// before the last finished one and not after the last begun one.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "tests/support/alarms.h"
#include "tests/support/cache_model.h"
#include "tests/support/faulty_device.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"
#include "tests/support/random.h"
#include "tests/support/random_mutation.h"

namespace dmcached {
namespace {

constexpr uint64_t kMetadataBlocks = 96;
constexpr int kSteps = 60;

// What a writable open in EXACT makes of a medium.
CacheContents Opened(CacheContents medium) {
  if (!medium.clean_shutdown) {
    for (auto& [cblock, to] : medium.mappings) to.dirty = true;
    medium.discards.assign(medium.discards.size(), false);
    medium.hints.reset();
  }
  medium.clean_shutdown = true;
  return medium;
}

// One history on a device that fails where it is told to.  The same seed does the same until then.
class CutHistory {
 public:
  CutHistory(uint32_t version, DirtyTracking tracking, uint64_t seed, FaultOptions faults)
      : tracking_(tracking),
        faults_(std::move(faults)),
        random_(seed),
        device_(std::make_shared<FaultyDevice>(kMetadataBlocks * kMetadataBlockBytes, faults_)),
        params_(Params(version, tracking)),
        model_(params_) {
    limits_.max_cache_blocks = 1200;
    limits_.max_origin_blocks = 2500;
    limits_.max_items = 20;
  }

  void Run() {
    auto formatted = CacheMetadata::Format(device_, params_, NewCounters());
    if (!formatted.ok()) return;
    cache_ = *std::move(formatted);
    media_ = {model_.durable()};
    for (int step = 0; step < kSteps && !device_->power_is_cut(); ++step) Step();
  }

  const FaultyDevice& device() const { return *device_; }

  void CheckCrashImage(uint64_t crash_seed) const {
    const std::vector<std::byte> image = device_->CrashImage(crash_seed);
    if (media_.empty()) return;  // Format had not ended.
    const WalkedImage crashed = WalkImage(image);
    ASSERT_EQ(crashed.Faults(), "");
    auto device = std::make_shared<MemoryDevice>(image);
    ASSERT_EQ(Alarms(*device).ToString(), "");
    auto cache = CacheMetadata::Open(device, OpenParams(), NewCounters());
    ASSERT_THAT(cache, IsOk());
    ASSERT_THAT((*cache)->Commit(true), IsOk());
    const WalkedImage walked = WalkImage(device->Image());
    ASSERT_EQ(walked.Faults(), "");
    ASSERT_EQ(Alarms(*device).ToString(), "");
    std::string differences;
    for (const CacheContents& medium : media_) {
      const std::string difference = Difference(walked.contents, Opened(medium));
      if (difference.empty()) return;
      differences += difference + "\n";
    }
    ADD_FAILURE() << "no state at a commit:\n" << differences;
  }

 private:
  static FormatParams Params(uint32_t version, DirtyTracking tracking) {
    FormatParams params;
    params.version = version;
    params.data_block_size = Sectors(64);
    params.cache_blocks = 600;
    params.origin_size = Sectors(uint64_t{64} * 2500);
    params.policy_name = "smq";
    params.dirty_tracking = tracking;
    params.block_cache_bytes = 8 * kMetadataBlockBytes;
    return params;
  }

  void Step() {
    const uint64_t kind = random_.Below(20);
    if (kind < 15) {
      Mutate();
    } else if (kind < 19) {
      Commit();
    } else {
      Reopen();
    }
  }

  void Mutate() {
    const RandomMutation request(model_, limits_, random_);
    const absl::StatusOr<uint32_t> result = ApplyNow(*cache_, request.mutation());
    if (result.ok()) model_.Apply(request.mutation());
  }

  void Commit() {
    const bool clean = random_.OneIn(2);
    const uint64_t failing_flush = random_.Below(8);  // 0, 1: of this commit.
    auto batch = cache_->Prepare(clean);
    ASSERT_THAT(batch, IsOk());
    model_.Prepare(clean);
    media_.push_back(model_.committing());
    for (uint64_t i = random_.Below(4); i > 0 && !device_->power_is_cut(); --i) Mutate();
    FaultOptions faults = faults_;
    if (failing_flush < 2) faults.fail_flush = device_->flushes() + failing_flush;
    device_->SetFaults(faults);
    const std::atomic<bool> stop = false;
    const absl::Status written = (*batch)->Write(*device_, stop);
    device_->SetFaults(faults_);
    if (device_->power_is_cut()) return;
    if (!written.ok()) {  // Only what the medium shows now counts, and only once it was written and flushed again.
      ReopenFrom((*batch)->superblock_started() ? model_.committing() : model_.durable());
      return;
    }
    for (uint64_t i = random_.Below(4); i > 0; --i) Mutate();
    if (device_->power_is_cut()) return;
    cache_->Finish(*std::move(batch));
    model_.Finish();
    media_ = {model_.durable()};
  }

  void Reopen() { ReopenFrom(model_.durable()); }

  void ReopenFrom(const CacheContents& medium) {
    CacheContents unclean = medium;
    unclean.clean_shutdown = false;
    if (tracking_ == DirtyTracking::kConservative) media_.push_back(unclean);
    cache_.reset();
    OpenParams params;
    params.dirty_tracking = tracking_;
    params.block_cache_bytes = 8 * kMetadataBlockBytes;
    auto cache = CacheMetadata::Open(device_, params, NewCounters());
    if (device_->power_is_cut()) return;
    ASSERT_THAT(cache, IsOk());
    cache_ = *std::move(cache);
    model_.Reopen(medium, tracking_, /*assume_unclean=*/false, std::nullopt);
    media_ = {model_.durable()};
  }

  const DirtyTracking tracking_;
  const FaultOptions faults_;
  Random random_;
  std::shared_ptr<FaultyDevice> device_;
  const FormatParams params_;
  CacheModel model_;
  MutationLimits limits_;
  std::unique_ptr<CacheMetadata> cache_;
  std::vector<CacheContents> media_;  // What the medium may hold now.
};

class PowerCutTest : public testing::TestWithParam<std::tuple<uint32_t, DirtyTracking>> {
 protected:
  void Cut(uint64_t seed, const FaultOptions& faults) {
    const auto [version, tracking] = GetParam();
    CutHistory history(version, tracking, seed, faults);
    history.Run();
    EXPECT_TRUE(history.device().power_is_cut());
    for (const uint64_t crash_seed : {uint64_t{0}, uint64_t{1}, seed | 2, seed + 77}) {
      SCOPED_TRACE(testing::Message() << "crash image " << crash_seed);
      history.CheckCrashImage(crash_seed);
      if (HasFailure()) return;
    }
  }
};

TEST_P(PowerCutTest, AtAnyWriteOrFlushItOpensAtACommit) {
  Random random;
  for (int round = 0; round < 4; ++round) {
    const uint64_t seed = random.Next();
    const auto [version, tracking] = GetParam();
    CutHistory undisturbed(version, tracking, seed, {});
    undisturbed.Run();
    ASSERT_FALSE(undisturbed.device().power_is_cut());
    undisturbed.CheckCrashImage(0);
    for (int cut = 0; cut < 20 && !HasFailure(); ++cut) {
      const uint64_t write = random.Below(undisturbed.device().writes());
      const uint64_t flush = random.Below(undisturbed.device().flushes());
      SCOPED_TRACE(testing::Message() << "round " << round << ", write " << write << ", flush " << flush);
      FaultOptions at_write;
      at_write.power_cut_after = write;
      Cut(seed, at_write);
      FaultOptions at_flush;
      at_flush.power_cut_at_flush = flush;
      Cut(seed, at_flush);
    }
  }
}

std::string ConfigurationName(const testing::TestParamInfo<PowerCutTest::ParamType>& configuration) {
  const auto& [version, tracking] = configuration.param;
  return "Version" + std::to_string(version) + (tracking == DirtyTracking::kExact ? "Exact" : "Conservative");
}

INSTANTIATE_TEST_SUITE_P(All, PowerCutTest,
                         testing::Combine(testing::Values(1u, 2u),
                                          testing::Values(DirtyTracking::kExact, DirtyTracking::kConservative)),
                         ConfigurationName);

}  // namespace
}  // namespace dmcached
