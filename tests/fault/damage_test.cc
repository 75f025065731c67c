// One byte of every block is changed; writes are lost or go astray: never a crash, never wrong data where a checksum, a
// location or a count can tell; and the one case where nothing can.
#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/device_source.h"
#include "tests/fault/scenario.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

class Findings : public CheckSink {
 public:
  void OnProgress(uint64_t, uint64_t) override {}
  void OnFinding(const Finding& finding) override {
    if (finding.severity != Severity::kNote) ++count_;
  }
  int count() const { return count_; }

 private:
  int count_ = 0;
};

bool CheckerComplains(BlockDevice& device) {
  DeviceSource source(device);
  Findings findings;
  return !CheckMetadata(source, {}, findings).ok() || findings.count() != 0;
}

std::vector<std::byte> ScenarioImage(uint32_t version) {
  MemoryDevice device(std::vector<std::byte>(kScenarioBlocks * kMetadataBlockBytes));
  Scenario(device, version).Run();
  return device.Image();
}

// What opening shows; an error names a reason.
absl::StatusOr<CacheContents> Read(const std::vector<std::byte>& image, bool read_only) {
  OpenParams params;
  params.read_only = read_only;
  auto cache = CacheMetadata::Open(std::make_shared<MemoryDevice>(image), params, NewCounters());
  if (!cache.ok()) return cache.status();
  return ReadContents(**cache);
}

class DamageTest : public testing::TestWithParam<uint32_t> {};

TEST_P(DamageTest, AChangedByteIsReportedOrMeansNothing) {
  const std::vector<std::byte> sound = ScenarioImage(GetParam());
  const absl::StatusOr<CacheContents> expected = Read(sound, /*read_only=*/true);
  ASSERT_THAT(expected, IsOk());
  const uint64_t used = WalkImage(sound).used_blocks;
  Random random;
  uint64_t reported_blocks = 0;
  for (uint64_t block = 0; block < kScenarioBlocks; ++block) {
    bool reported = false;
    for (int i = 0; i < 6; ++i) {
      std::vector<std::byte> damaged = sound;
      const uint64_t byte = i < 2 ? random.Below(40) : random.Below(kMetadataBlockBytes);
      damaged[block * kMetadataBlockBytes + byte] ^= static_cast<std::byte>(random.Between(1, 255));
      SCOPED_TRACE(testing::Message() << "byte " << byte << " of block " << block);
      MemoryDevice device(damaged);
      const bool complained = CheckerComplains(device);
      EXPECT_TRUE(i == 0 || complained == reported) << "the checker reports some bytes of a block only";
      reported = complained;
      for (const bool read_only : {true, false}) {
        const absl::StatusOr<CacheContents> found = Read(damaged, read_only);
        if (found.ok()) {
          EXPECT_EQ(Difference(*found, *expected), "") << "wrong data";
          EXPECT_TRUE(read_only || !complained || found.ok());
        } else {
          EXPECT_TRUE(complained) << "refused, and the checker finds nothing: " << found.status();
          EXPECT_TRUE(ReasonOf(found.status()).has_value()) << found.status();
        }
      }
      if (HasFailure()) return;
    }
    if (reported) ++reported_blocks;
  }
  EXPECT_EQ(reported_blocks, used) << "a used block can be damaged without a finding";
}

TEST_P(DamageTest, ABlockFromElsewhereIsReported) {
  const std::vector<std::byte> sound = ScenarioImage(GetParam());
  uint64_t reported = 0;
  for (uint64_t block = 1; block < kScenarioBlocks; ++block) {
    SCOPED_TRACE(testing::Message() << "block " << block);
    for (const uint64_t other : {block - 1, block + 1, block + 2}) {
      if (other == 0 || other >= kScenarioBlocks) continue;
      std::vector<std::byte> damaged = sound;
      std::copy_n(sound.begin() + static_cast<std::ptrdiff_t>(other * kMetadataBlockBytes), kMetadataBlockBytes,
                  damaged.begin() + static_cast<std::ptrdiff_t>(block * kMetadataBlockBytes));
      MemoryDevice device(damaged);
      const bool is_reported = CheckerComplains(device);
      EXPECT_EQ(Read(damaged, /*read_only=*/false).ok(), !is_reported);
      if (is_reported) ++reported;
    }
  }
  const uint64_t used = WalkImage(sound).used_blocks;
  EXPECT_GE(reported, 3 * (used - 3)) << "each used block but the superblock, from up to three places";
}

// Does not do one of its writes, or does it elsewhere; says that all is well.
class LyingDevice : public MemoryDevice {
 public:
  // The write of that number is moved by `shift` blocks; nothing: it is lost.
  LyingDevice(uint64_t write, std::optional<int64_t> shift)
      : MemoryDevice(std::vector<std::byte>(kScenarioBlocks * kMetadataBlockBytes)), write_(write), shift_(shift) {}
  uint64_t writes() const { return writes_; }

 protected:
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    if (writes_++ != write_) return MemoryDevice::DoWriteV(offset_bytes, buffers);
    if (!shift_.has_value()) return absl::OkStatus();
    uint64_t length = 0;
    for (const auto& buffer : buffers) length += buffer.size();
    const uint64_t last = size_bytes() - length;
    const uint64_t moved = offset_bytes + static_cast<uint64_t>(*shift_) * kMetadataBlockBytes;
    return MemoryDevice::DoWriteV(moved > last ? last : moved, buffers);
  }

 private:
  const uint64_t write_;
  const std::optional<int64_t> shift_;
  uint64_t writes_ = 0;
};

struct Outcomes {
  unsigned long long runs = 0;
  unsigned long long noticed = 0;    // By a caller, an open or the checker.
  unsigned long long harmless = 0;   // All that was acknowledged is there.
  unsigned long long unnoticed = 0;  // A stale block of the same kind at the same place.
};

void RunLying(uint32_t version, std::optional<int64_t> shift, Outcomes& outcomes) {
  for (uint64_t write = 0;; ++write) {
    SCOPED_TRACE(testing::Message() << "write " << write);
    LyingDevice device(write, shift);
    Scenario scenario(device, version);
    scenario.Run();
    if (device.writes() <= write) return;
    ++outcomes.runs;
    EXPECT_TRUE(scenario.unclear().empty());
    const std::vector<std::byte> image = device.Image();
    MemoryDevice left(image);
    const absl::StatusOr<CacheContents> found = Read(image, /*read_only=*/true);
    if (scenario.errors() != 0 || !found.ok() || CheckerComplains(left)) {
      ++outcomes.noticed;
      continue;
    }
    bool all = true;
    for (const uint32_t cblock : scenario.dirty()) {
      const auto at = found->mappings.find(cblock);
      all = all && at != found->mappings.end() && at->second.dirty;
    }
    ++(all ? outcomes.harmless : outcomes.unnoticed);
  }
}

TEST_P(DamageTest, LostWritesAreNoticedButForStaleBlocks) {
  Outcomes outcomes;
  RunLying(GetParam(), std::nullopt, outcomes);
  std::printf("%llu lost writes: %llu noticed, %llu harmless, %llu stale blocks\n", outcomes.runs, outcomes.noticed,
              outcomes.harmless, outcomes.unnoticed);
  EXPECT_GT(outcomes.noticed, 0u);
}

TEST_P(DamageTest, MisdirectedWritesAreNoticedButForStaleBlocks) {
  Outcomes outcomes;
  for (const int64_t shift : {1, 2, 7, 30}) RunLying(GetParam(), shift, outcomes);
  std::printf("%llu misdirected writes: %llu noticed, %llu harmless, %llu stale blocks\n", outcomes.runs,
              outcomes.noticed, outcomes.harmless, outcomes.unnoticed);
  EXPECT_GT(outcomes.noticed, 0u);
}

// The limit: checksum and location of a stale block are right, and nothing says of which transaction it is.
TEST_P(DamageTest, AStaleBlockOfTheSameKindAtTheSamePlaceCannotBeNoticed) {
  std::vector<std::byte> image;
  {
    MemoryDevice device(std::vector<std::byte>(kScenarioBlocks * kMetadataBlockBytes));
    Scenario scenario(device, GetParam());
    scenario.Run();
    image = device.Image();
  }
  // The superblock of a moment ago is such a block: as if the last write of block 0 had been lost.
  auto device = std::make_shared<MemoryDevice>(image);
  auto cache = CacheMetadata::Open(device, {}, NewCounters());
  ASSERT_THAT(cache, IsOk());
  const std::vector<uint32_t> cblocks = {630};
  ASSERT_THAT(ApplyNow(**cache, MarkDirty{.cblocks = cblocks}), IsOk());
  ASSERT_THAT((*cache)->Commit(true), IsOk());
  std::vector<std::byte> stale = device->Image();
  std::copy_n(image.begin(), kMetadataBlockBytes, stale.begin());
  MemoryDevice left(stale);
  EXPECT_FALSE(CheckerComplains(left));
  const absl::StatusOr<CacheContents> found = Read(stale, /*read_only=*/true);
  ASSERT_THAT(found, IsOk());
  EXPECT_FALSE(found->mappings.at(630).dirty) << "a durable mark is gone, and nothing tells";
}

INSTANTIATE_TEST_SUITE_P(Versions, DamageTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "Version" + std::to_string(version.param); });

}  // namespace
}  // namespace dmcached
