// Random histories of every operation against a plain model: after each commit an independent decoder finds on the
// medium exactly what the model holds, with every invariant intact, and the checker has nothing against it.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/cache/geometry.h"
#include "core/device/memory_device.h"
#include "tests/support/alarms.h"
#include "tests/support/cache_model.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"
#include "tests/support/random.h"
#include "tests/support/random_mutation.h"

namespace dmcached {
namespace {

constexpr uint64_t kTinyBudget = 8 * kMetadataBlockBytes;
constexpr uint64_t kNormalBudget = 64u << 20;

struct HistoryOptions {
  uint32_t version = 2;
  DirtyTracking tracking = DirtyTracking::kExact;
  uint64_t block_cache_bytes = kNormalBudget;
  uint64_t metadata_blocks = 1024;
  uint32_t cache_blocks = 700;
  bool full = false;  // The device has little space to spare.
  MutationLimits limits;
};

class History {
 public:
  History(const HistoryOptions& options, uint64_t seed)
      : options_(options),
        random_(seed),
        device_(std::make_shared<MemoryDevice>(options.metadata_blocks * kMetadataBlockBytes)),
        model_(Params()) {}

  // Runs `steps` steps; stops at the first failure.
  void Run(int steps) {
    auto formatted = CacheMetadata::Format(device_, Params(), NewCounters());
    ASSERT_THAT(formatted, IsOk());
    cache_ = *std::move(formatted);
    CheckMedium(model_.durable());
    for (int step = 0; step < steps && !ended_ && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(testing::Message() << "step " << step);
      Step();
    }
    if (ended_ || testing::Test::HasFailure()) return;
    FinishCommit();
    BeginCommit();
    FinishCommit();
    CheckReads();
  }

  uint64_t refusals() const { return refusals_; }
  uint64_t applied() const { return applied_; }
  uint64_t no_space() const { return no_space_; }

 private:
  FormatParams Params() const {
    FormatParams params;
    params.version = options_.version;
    params.data_block_size = Sectors(128);
    params.cache_blocks = options_.cache_blocks;
    params.origin_size = Sectors(128 * options_.limits.max_origin_blocks);
    params.policy_name = "smq";
    params.dirty_tracking = options_.tracking;
    params.block_cache_bytes = options_.block_cache_bytes;
    return params;
  }

  void Step() {
    const uint64_t kind = random_.Below(100);
    if (kind < 80) {
      Mutate();
    } else if (kind < 82) {
      ChangeDiscardGeometry();
    } else if (kind < 90) {
      BeginCommit();
    } else if (kind < 93) {
      WriteCommit();
    } else if (kind < 97) {
      FinishCommit();
    } else if (kind < 99) {
      CheckReads();
    } else {
      Reopen();
    }
  }

  // Whether the status is one that the model allows; `applies` says if it must now be applied there.
  void Judge(const absl::Status& status, const std::set<Reason>& faults, bool& applies) {
    applies = status.ok();
    if (HasReason(status, Reason::kMetadataNoSpace)) {
      ++no_space_;
      EXPECT_LE(options_.metadata_blocks, 64u) << status.ToString();
      return;
    }
    if (status.ok()) {
      EXPECT_TRUE(faults.empty()) << "accepted, expected " << std::string(ReasonName(*faults.begin()));
      ++applied_;
      return;
    }
    ++refusals_;
    EXPECT_TRUE(ReasonOf(status).has_value() && faults.contains(*ReasonOf(status))) << status.ToString();
  }

  void Mutate() {
    const RandomMutation request(model_, options_.limits, random_);
    const std::set<Reason> faults = model_.Faults(request.mutation());
    const absl::StatusOr<uint32_t> result = ApplyNow(*cache_, request.mutation());
    bool applies = false;
    SCOPED_TRACE(testing::Message() << "mutation of kind " << request.mutation().index());
    Judge(result.status(), faults, applies);
    if (!applies || testing::Test::HasFailure()) return;
    EXPECT_EQ(*result, model_.Apply(request.mutation()));
    CheckCounts();
  }

  void ChangeDiscardGeometry() {
    if (!random_.OneIn(4)) return;  // Rare, because it drops most discards.
    const uint64_t factors[] = {0, 1, 1, 2, 3, 8};
    DiscardGeometry geometry = {Sectors(128 * factors[random_.Below(6)]), random_.Below(3000)};
    if (random_.OneIn(10)) geometry.block_size = Sectors(geometry.block_size.value() + 1);
    if (random_.OneIn(5)) geometry.blocks = 0;
    Mutex unshared;
    const absl::Status status =
        RunWithBlocks(unshared, cache_->store(), [&](BlockSet& set) { return cache_->ResizeDiscards(geometry, set); });
    bool applies = false;
    Judge(status, model_.FaultsOfDiscardGeometry(geometry), applies);
    if (applies) model_.ResizeDiscards(geometry);
  }

  void BeginCommit() {
    if (batch_ != nullptr) return;
    clean_ = random_.OneIn(3);
    auto batch = cache_->Prepare(clean_);
    ASSERT_THAT(batch, IsOk());
    batch_ = *std::move(batch);
    written_ = false;
    model_.Prepare(clean_);
  }

  void WriteCommit() {
    if (batch_ == nullptr || written_) return;
    if (random_.OneIn(4)) CheckMedium(model_.durable());  // Nothing of the open transactions touched what is durable.
    const std::atomic<bool> stop = false;
    ASSERT_THAT(batch_->Write(*device_, stop), IsOk());
    written_ = true;
    CheckMedium(model_.committing());
  }

  void FinishCommit() {
    if (batch_ == nullptr) return;
    WriteCommit();
    if (testing::Test::HasFatalFailure()) return;
    cache_->Finish(std::move(batch_));
    model_.Finish();
    CheckCounts();
    CheckMedium(model_.durable());
  }

  void Reopen() {
    const CacheContents medium = batch_ != nullptr && written_ ? model_.committing() : model_.durable();
    cache_.reset();
    batch_.reset();
    OpenParams params;
    if (random_.OneIn(4)) {
      params.read_only = true;
      auto cache = CacheMetadata::Open(device_, params, NewCounters());
      ASSERT_THAT(cache, IsOk());
      EXPECT_EQ((*cache)->must_assume_all_dirty(), !medium.clean_shutdown);
      EXPECT_THAT(ApplyNow(**cache, SetStats{}), HasReasonIs(Reason::kReadOnly));
      CheckMedium(medium);
      params.read_only = false;
    }
    params.dirty_tracking = random_.OneIn(8) ? DirtyTracking::kConservative : options_.tracking;
    params.assume_unclean = random_.OneIn(8);
    params.block_cache_bytes = options_.block_cache_bytes;
    uint64_t highest = 0;
    for (const auto& [cblock, to] : medium.mappings) highest = std::max(highest, to.oblock);
    // On a full device the discard geometry may or may not follow the origin.
    if (!options_.full && random_.OneIn(2)) params.origin_size = Sectors(128 * (highest + 1 + random_.Below(100)));
    auto cache = CacheMetadata::Open(device_, params, NewCounters());
    if (options_.full && HasReason(cache.status(), Reason::kMetadataNoSpace)) {
      ended_ = true;  // Too full even to be adopted; what is on the device stays whole.
      return;
    }
    ASSERT_THAT(cache, IsOk());
    cache_ = *std::move(cache);
    model_.Reopen(medium, params.dirty_tracking, params.assume_unclean, params.origin_size);
    CheckMedium(model_.durable());
    CheckCounts();
    CheckReads();
  }

  void CheckMedium(const CacheContents& expected) {
    const WalkedImage walked = WalkImage(device_->Image());
    EXPECT_EQ(walked.Faults(), "");
    // No rpc chooses a discard geometry by itself, as this test does: it need not cover what is mapped.
    EXPECT_EQ(Alarms(*device_).ToString(/*but=*/FindingKind::kOblockBeyondOrigin), "");
    EXPECT_EQ(Difference(walked.contents, expected), "");
  }

  void CheckCounts() {
    EXPECT_EQ(cache_->mapped_blocks(), model_.running().mappings.size());
    EXPECT_EQ(cache_->dirty_blocks(), model_.dirty_count());
    EXPECT_EQ(cache_->free_cblocks(), model_.free_count());
    EXPECT_EQ(cache_->discarded_blocks(), model_.discarded_count());
    EXPECT_EQ(cache_->cache_blocks(), model_.running().cache_blocks);
  }

  void CheckReads() {
    const absl::StatusOr<CacheContents> found = ReadContents(*cache_);
    ASSERT_THAT(found, IsOk());
    CacheContents expected = model_.running();
    expected.clean_shutdown = found->clean_shutdown;  // Of the medium, checked there.
    if (expected.hints.has_value()) {
      for (uint32_t i = 0; i < expected.cache_blocks; ++i) {
        if (!expected.mappings.contains(i)) (*expected.hints)[i] = 0;
      }
    }
    EXPECT_EQ(Difference(*found, expected), "");
    CheckOblocks();
    std::set<uint32_t> free;
    cache_->VisitFree([&](Cblock cblock) {
      EXPECT_TRUE(free.insert(cblock.value()).second && model_.IsFree(cblock.value())) << cblock.value();
      return true;
    });
    EXPECT_EQ(free.size(), model_.free_count());
  }

  void CheckOblocks() {
    std::vector<uint64_t> oblocks;
    for (uint64_t i = 0; i < std::min(model_.oblock_end(), options_.limits.max_origin_blocks); ++i)
      oblocks.push_back(i);
    std::vector<LookedUp> found;
    Mutex unshared;
    ASSERT_THAT(RunWithBlocks(unshared, cache_->store(),
                              [&](BlockSet& set) { return cache_->LookupOblocks(oblocks, set, found); }),
                IsOk());
    ASSERT_EQ(found.size(), oblocks.size());
    for (const LookedUp& item : found) {
      const auto at = model_.cblock_of().find(item.oblock.value());
      ASSERT_EQ(item.mapped, at != model_.cblock_of().end()) << "oblock " << item.oblock.value();
      if (!item.mapped) continue;
      ASSERT_EQ(item.cblock.value(), at->second);
      ASSERT_EQ(item.dirty, model_.running().mappings.at(at->second).dirty);
    }
  }

  const HistoryOptions options_;
  Random random_;
  std::shared_ptr<MemoryDevice> device_;
  CacheModel model_;
  std::unique_ptr<CacheMetadata> cache_;
  std::unique_ptr<CommitBatch> batch_;  // In flight.
  bool written_ = false;
  bool clean_ = false;
  uint64_t refusals_ = 0;
  uint64_t applied_ = 0;
  uint64_t no_space_ = 0;
  bool ended_ = false;
};

class RandomHistoryTest : public testing::TestWithParam<std::tuple<uint32_t, DirtyTracking, uint64_t>> {
 protected:
  HistoryOptions Options() const {
    HistoryOptions options;
    std::tie(options.version, options.tracking, options.block_cache_bytes) = GetParam();
    return options;
  }
};

TEST_P(RandomHistoryTest, EachCommitLeavesWhatTheModelHolds) {
  Random random;
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    const uint64_t seed = random.Next();
    SCOPED_TRACE(testing::Message() << "round " << round);
    History history(Options(), seed);
    history.Run(500);
    EXPECT_GT(history.applied(), 100u);
    EXPECT_GT(history.refusals(), 0u);
  }
}

TEST_P(RandomHistoryTest, WithoutSpaceNothingChanges) {
  Random random;
  uint64_t no_space = 0;
  for (int round = 0; round < 3 && !HasFailure(); ++round) {
    HistoryOptions options = Options();
    options.cache_blocks = 2600;
    const uint64_t live = LiveMetadataBlocks(options.version, options.cache_blocks, 6000, /*hints=*/true, 64);
    options.metadata_blocks = live + random.Between(6, 16);
    options.limits.max_cache_blocks = 3600;
    options.full = true;
    SCOPED_TRACE(testing::Message() << "round " << round << ", " << options.metadata_blocks << " metadata blocks");
    History history(options, random.Next());
    history.Run(300);
    no_space += history.no_space();
  }
  EXPECT_GT(no_space, 0u);
}

TEST(SmallDeviceTest, TheSmallestDeviceThatFormatTakesIsFormatted) {
  for (const uint32_t version : {1u, 2u}) {
    for (const uint32_t cache_blocks : {0u, 1u, 509u, 510u, 3000u, 33000u, 140000u}) {
      SCOPED_TRACE(testing::Message() << "version " << version << ", " << cache_blocks << " cache blocks");
      FormatParams params;
      params.version = version;
      params.data_block_size = Sectors(64);
      params.cache_blocks = cache_blocks;
      params.origin_size = Sectors(64 * 20000);
      uint64_t blocks = 1;
      while (!CacheMetadata::CheckFormat(*std::make_shared<MemoryDevice>(blocks * kMetadataBlockBytes), params).ok()) {
        ++blocks;
      }
      auto device = std::make_shared<MemoryDevice>(blocks * kMetadataBlockBytes);
      ASSERT_THAT(CacheMetadata::Format(device, params, NewCounters()), IsOk());
      const WalkedImage walked = WalkImage(device->Image());
      EXPECT_EQ(walked.Faults(), "");
      EXPECT_EQ(Alarms(*device).ToString(), "");
      EXPECT_EQ(walked.contents.cache_blocks, cache_blocks);
    }
  }
}

std::string ConfigurationName(const testing::TestParamInfo<RandomHistoryTest::ParamType>& configuration) {
  const auto& [version, tracking, budget] = configuration.param;
  return "Version" + std::to_string(version) + (tracking == DirtyTracking::kExact ? "Exact" : "Conservative") +
         (budget == kTinyBudget ? "Tiny" : "Normal");
}

INSTANTIATE_TEST_SUITE_P(All, RandomHistoryTest,
                         testing::Combine(testing::Values(1u, 2u),
                                          testing::Values(DirtyTracking::kExact, DirtyTracking::kConservative),
                                          testing::Values(kTinyBudget, kNormalBudget)),
                         ConfigurationName);

}  // namespace
}  // namespace dmcached
