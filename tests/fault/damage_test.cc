// One byte of every block is changed; writes are lost or go astray: never a crash, never wrong data where a checksum, a
// location or a count can tell; and the one case where nothing can.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "core/format/seal.h"
#include "tests/fault/damaged_image.h"
#include "tests/fault/scenario.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

std::vector<std::byte> ScenarioImage(uint32_t version) {
  MemoryDevice device(std::vector<std::byte>(kScenarioBlocks * kMetadataBlockBytes));
  Scenario(device, version).Run();
  return device.Image();
}

class DamageTest : public testing::TestWithParam<uint32_t> {};

TEST_P(DamageTest, AChangedByteIsReportedOrMeansNothing) {
  const std::vector<std::byte> sound = ScenarioImage(GetParam());
  const absl::StatusOr<CacheContents> expected = ReadImage(sound, /*read_only=*/true);
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
      const Alarms alarms(damaged);
      const bool complained = alarms.any();
      EXPECT_EQ(Names(alarms, block), complained) << alarms.ToString();
      EXPECT_EQ(OpenImage(damaged, /*read_only=*/false).ok(), !complained) << "damage is never opened for writing";
      EXPECT_TRUE(i == 0 || complained == reported) << "the checker reports some bytes of a block only";
      reported = complained;
      for (const bool read_only : {true, false}) {
        const absl::StatusOr<CacheContents> found = ReadImage(damaged, read_only);
        if (found.ok()) {
          EXPECT_EQ(Difference(*found, *expected), "") << "wrong data";
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
      const Alarms alarms(damaged);
      EXPECT_EQ(Names(alarms, block), alarms.any()) << alarms.ToString();
      EXPECT_EQ(OpenImage(damaged, /*read_only=*/false).ok(), !alarms.any());
      if (alarms.any()) ++reported;
    }
  }
  const uint64_t used = WalkImage(sound).used_blocks;
  EXPECT_GE(reported, 3 * (used - 3)) << "each used block but the superblock, from up to three places";
}

// Does not do one of its writes, or does it elsewhere; says that all is well.  Remembers what was to be where.
class LyingDevice : public MemoryDevice {
 public:
  // The write of that number is moved by `shift` blocks; nothing: it is lost.
  LyingDevice(uint64_t write, std::optional<int64_t> shift)
      : MemoryDevice(std::vector<std::byte>(kScenarioBlocks * kMetadataBlockBytes)),
        write_(write),
        shift_(shift),
        written_(kScenarioBlocks) {}
  uint64_t writes() const { return writes_; }
  // Blocks that were read and held neither what they should nor what they once should: nothing was written to them, or
  // what belongs elsewhere.
  const std::set<uint64_t>& foreign_reads() const { return foreign_reads_; }
  // The same of what they hold now.
  bool IsForeign(uint64_t block, std::span<const std::byte> bytes) const {
    const std::vector<Block>& versions = written_[block];
    if (versions.empty()) return std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b != std::byte{0}; });
    return std::none_of(versions.begin(), versions.end(), [&](const Block& version) {
      return std::equal(version.begin(), version.end(), bytes.begin()) &&
             TypeOf(version, block) == TypeOf(versions.back(), block);
    });
  }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    const absl::Status status = MemoryDevice::DoReadV(offset_bytes, buffers);
    uint64_t block = offset_bytes / kMetadataBlockBytes;
    for (std::span<const std::byte> buffer : buffers) {
      for (; !buffer.empty(); buffer = buffer.subspan(kMetadataBlockBytes), ++block) {
        if (IsForeign(block, buffer.first(kMetadataBlockBytes))) foreign_reads_.insert(block);
      }
    }
    return status;
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    uint64_t length = 0;
    for (std::span<const std::byte> buffer : buffers) {
      for (; !buffer.empty(); buffer = buffer.subspan(kMetadataBlockBytes), length += kMetadataBlockBytes) {
        const auto bytes = buffer.first(kMetadataBlockBytes);
        written_[(offset_bytes + length) / kMetadataBlockBytes].emplace_back(bytes.begin(), bytes.end());
      }
    }
    if (writes_++ != write_) return MemoryDevice::DoWriteV(offset_bytes, buffers);
    if (!shift_.has_value()) return absl::OkStatus();
    const uint64_t last = size_bytes() - length;
    const uint64_t moved = offset_bytes + static_cast<uint64_t>(*shift_) * kMetadataBlockBytes;
    return MemoryDevice::DoWriteV(moved > last ? last : moved, buffers);
  }

 private:
  using Block = std::vector<std::byte>;

  static std::optional<BlockType> TypeOf(std::span<const std::byte> bytes, uint64_t block) {
    for (const BlockType type : {BlockType::kSuperblock, BlockType::kBtreeNode, BlockType::kArrayBlock,
                                 BlockType::kSpaceMapIndex, BlockType::kSpaceMapBitmap}) {
      if (CheckBlock(type, MetadataBlock(block), bytes).ok()) return type;
    }
    return std::nullopt;
  }

  const uint64_t write_;
  const std::optional<int64_t> shift_;
  uint64_t writes_ = 0;
  std::vector<std::vector<Block>> written_;  // By block: all that was to be written there, the last one last.
  std::set<uint64_t> foreign_reads_;
};

struct Outcomes {
  unsigned long long runs = 0;
  unsigned long long noticed = 0;    // By a caller, an open or the checker.
  unsigned long long harmless = 0;   // All is there.
  unsigned long long unnoticed = 0;  // A stale block of the same kind at the same place.
};

// Whether anything leads to the block: then the checker names it once it is damaged.
bool IsReachable(std::vector<std::byte> image, uint64_t block) {
  image[block * kMetadataBlockBytes + 100] ^= std::byte{1};
  return Names(Alarms(image), block);
}

// Nobody noticed anything, so there was nothing that the format lets anybody notice.
void ExpectOnlyStaleBlocks(const LyingDevice& device) {
  EXPECT_THAT(device.foreign_reads(), testing::IsEmpty());
  const std::vector<std::byte> image = device.Image();
  EXPECT_EQ(WalkImage(image).Faults(), "");
  for (uint64_t block = 0; block < kScenarioBlocks; ++block) {
    const auto bytes = std::span(image).subspan(block * kMetadataBlockBytes, kMetadataBlockBytes);
    EXPECT_FALSE(device.IsForeign(block, bytes) && IsReachable(image, block)) << "block " << block;
  }
}

void RunLying(uint32_t version, std::optional<int64_t> shift, Outcomes& outcomes) {
  const absl::StatusOr<CacheContents> expected = ReadImage(ScenarioImage(version), /*read_only=*/true);
  ASSERT_THAT(expected, IsOk());
  for (uint64_t write = 0; !testing::Test::HasFailure(); ++write) {
    SCOPED_TRACE(testing::Message() << "write " << write);
    LyingDevice device(write, shift);
    Scenario scenario(device, version);
    scenario.Run();
    if (device.writes() <= write) return;
    ++outcomes.runs;
    EXPECT_TRUE(scenario.unclear().empty());
    const std::vector<std::byte> image = device.Image();
    const absl::StatusOr<CacheContents> found = ReadImage(image, /*read_only=*/true);
    if (scenario.errors() != 0 || !found.ok() || Alarms(image).any()) {
      ++outcomes.noticed;
      continue;
    }
    ExpectOnlyStaleBlocks(device);
    ++(*found == *expected ? outcomes.harmless : outcomes.unnoticed);
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
  const std::vector<uint32_t> cblocks = {655};
  ASSERT_THAT(ApplyNow(**cache, MarkDirty{.cblocks = cblocks}), IsOk());
  ASSERT_THAT((*cache)->Commit(true), IsOk());
  std::vector<std::byte> stale = device->Image();
  std::copy_n(image.begin(), kMetadataBlockBytes, stale.begin());
  EXPECT_EQ(Alarms(stale).ToString(), "");
  const absl::StatusOr<CacheContents> found = ReadImage(stale, /*read_only=*/true);
  ASSERT_THAT(found, IsOk());
  EXPECT_FALSE(found->mappings.at(655).dirty) << "a durable mark is gone, and nothing tells";
}

INSTANTIATE_TEST_SUITE_P(Versions, DamageTest, testing::Values(1u, 2u),
                         [](const auto& version) { return "Version" + std::to_string(version.param); });

}  // namespace
}  // namespace dmcached
