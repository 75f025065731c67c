// What a check does with whole blocks in parallel: reading, finding duplicate oblocks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "core/base/parallel.h"
#include "core/device/memory_device.h"
#include "core/maintenance/duplicate_origins.h"
#include "core/maintenance/tolerant_reader.h"
#include "tests/core/maintenance/check_fixture.h"
#include "tests/support/random.h"
#include "tests/support/thread_per_task.h"

namespace dmcached {
namespace {

void Add(DuplicateOrigins& origins, size_t lane, uint64_t oblock) {
  const Oblock one(oblock);
  origins.Add(lane, std::span(&one, 1));
}
absl::Status Never() { return absl::OkStatus(); }

TEST(DuplicateOriginsTest, FindsEachInEitherForm) {
  for (const uint64_t end : {uint64_t{1000}, uint64_t{1} << 48}) {
    DuplicateOrigins origins(end, 1000, /*lanes=*/2);
    for (const uint64_t oblock : {5, 900, 7, 5, 8, 900, 900, 6}) Add(origins, oblock % 2, oblock);
    for (const size_t lane : {0, 1}) Add(origins, lane, uint64_t{1} << 40);
    ASSERT_THAT(origins.Finish(nullptr, Never), IsOk());
    EXPECT_TRUE(origins.any());
    for (const uint64_t oblock : {uint64_t{5}, uint64_t{900}, uint64_t{1} << 40}) {
      EXPECT_TRUE(origins.Contains(Oblock(oblock))) << oblock;
    }
    for (const uint64_t oblock : {uint64_t{6}, uint64_t{7}, uint64_t{0}, uint64_t{1} << 41}) {
      EXPECT_FALSE(origins.Contains(Oblock(oblock))) << oblock;
    }
  }
}

TEST(DuplicateOriginsTest, FindsNoneWhereThereIsNone) {
  DuplicateOrigins origins(10, 1000, /*lanes=*/2);
  for (uint64_t i = 0; i < 1000; ++i) Add(origins, 0, i);
  ASSERT_THAT(origins.Finish(nullptr, Never), IsOk());
  EXPECT_FALSE(origins.any());
}

// What is added, by several threads, against a plain set; the memory it takes is within the promise.
void ExpectFindsAll(uint64_t oblock_end, const std::vector<uint64_t>& oblocks) {
  constexpr size_t kLanes = 4;
  DuplicateOrigins origins(oblock_end, oblocks.size(), kLanes);
  ThreadPerTask executor;
  RunParallel(&executor, kLanes, [&](size_t lane) {
    for (size_t i = lane; i < oblocks.size(); i += kLanes) Add(origins, lane, oblocks[i]);
  });
  ASSERT_THAT(origins.Finish(&executor, Never), IsOk());
  std::vector<uint64_t> sorted = oblocks;
  std::sort(sorted.begin(), sorted.end());
  bool any = false;
  uint64_t wrong = 0;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const bool twice = (i > 0 && sorted[i - 1] == sorted[i]) || (i + 1 < sorted.size() && sorted[i + 1] == sorted[i]);
    any = any || twice;
    wrong += origins.Contains(Oblock(sorted[i])) != twice ? 1 : 0;
  }
  EXPECT_EQ(origins.any(), any);
  EXPECT_EQ(wrong, 0u);
  const uint64_t each = oblocks.size() * sizeof(uint64_t);
  EXPECT_LE(origins.memory_bytes(), each + each / 50 + (3u << 20));
}

constexpr uint64_t kLarge = uint64_t{1} << 48;
constexpr size_t kMany = 1000000;

TEST(DuplicateOriginsTest, RandomOblocksOfALargeOrigin) {
  Random random(1);
  std::vector<uint64_t> oblocks;
  for (size_t i = 0; i < kMany; ++i) oblocks.push_back(random.Below(kLarge));
  ExpectFindsAll(kLarge, oblocks);
  for (const size_t i : {5u, 6u, 400000u}) oblocks[i] = oblocks[2 * i];
  ExpectFindsAll(kLarge, oblocks);
}

TEST(DuplicateOriginsTest, DenseOblocksOfASmallOrigin) {
  std::vector<uint64_t> oblocks;
  for (size_t i = 0; i < kMany; ++i) oblocks.push_back(i);
  ExpectFindsAll(kMany, oblocks);
  ExpectFindsAll(kLarge, oblocks);
  oblocks.back() = 0;
  ExpectFindsAll(kMany, oblocks);
  ExpectFindsAll(kLarge, oblocks);
}

TEST(DuplicateOriginsTest, SmallOriginThatIsNotTheTruth) {
  std::vector<uint64_t> oblocks;
  for (size_t i = 0; i < kMany; ++i) oblocks.push_back(uint64_t{3} << 30 | i);
  oblocks.back() = oblocks.front();
  ExpectFindsAll(kMany, oblocks);
}

TEST(DuplicateOriginsTest, EveryOblockTwiceOrTheSame) {
  std::vector<uint64_t> oblocks;
  for (size_t i = 0; i < kMany; ++i) oblocks.push_back(i / 2 * 977);
  ExpectFindsAll(kLarge, oblocks);
  ExpectFindsAll(kMany, oblocks);
  ExpectFindsAll(kLarge, std::vector<uint64_t>(kMany, 5));
}

// By the inverse of the hash: they all come into one part, and there into few places or a single one.
TEST(DuplicateOriginsTest, OblocksChosenForTheHash) {
  constexpr uint64_t kInverse = 0xF1DE83E19937733D;
  static_assert(kInverse * 0x9E3779B97F4A7C15 == 1);
  for (const unsigned shift : {0u, 30u}) {
    std::vector<uint64_t> oblocks;
    for (uint64_t i = 0; i < kMany / 10; ++i) oblocks.push_back((i << shift) * kInverse);
    ExpectFindsAll(kLarge, oblocks);
    oblocks[77] = oblocks[7];
    ExpectFindsAll(kLarge, oblocks);
  }
}

TEST(DuplicateOriginsTest, IsInterrupted) {
  for (const uint64_t end : {uint64_t{1000}, kLarge}) {
    DuplicateOrigins origins(end, 1000, /*lanes=*/1);
    for (uint64_t i = 0; i < 1000; ++i) Add(origins, 0, i + 500);
    EXPECT_THAT(origins.Finish(nullptr, [] { return absl::CancelledError("enough"); }),
                StatusIs(absl::StatusCode::kCancelled));
  }
}

// Holds blocks of which some are damaged.
class CountedSource : public CheckSource {
 public:
  explicit CountedSource(uint64_t blocks) : device_(blocks * kMetadataBlockBytes) {
    for (uint64_t i = 0; i < blocks; ++i) {
      AlignedBuffer block(kMetadataBlockBytes);
      StoreLe<uint64_t>(block.data() + 2048, i);
      SealBlock(BlockType::kArrayBlock, MetadataBlock(i), block.span());
      if (i % 7 == 0) block.span()[100] ^= std::byte{1};
      EXPECT_THAT(device_.Write(i * kMetadataBlockBytes, block.span()), IsOk());
    }
  }
  uint64_t blocks() const override { return device_.size_bytes() / kMetadataBlockBytes; }
  absl::Status Read(MetadataBlock first, std::span<std::byte> buffer) override {
    return device_.Read(BlockOffsetBytes(first), buffer);
  }
  absl::Status Interrupted() const override { return absl::OkStatus(); }

 private:
  MemoryDevice device_;
};

TEST(TolerantReaderTest, VisitsInOrderWhatIsDamagedOrLeft) {
  CountedSource source(3000);  // Several waves.
  std::vector<uint32_t> locations;
  for (uint32_t i = 0; i < 3000; ++i) locations.push_back(i % 2 == 0 ? i : 3000 - i);
  for (const bool threads : {false, true}) {
    ThreadPerTask executor;
    uint64_t told = 0;
    TolerantReader reader(source, threads ? &executor : nullptr, [&](uint64_t blocks) { told += blocks; });
    std::vector<std::atomic<int>> dealt(3000);
    std::vector<size_t> visited;
    ASSERT_THAT(reader.ReadAll(
                    BlockType::kArrayBlock, locations,
                    [&](size_t i, const absl::Status& checked, std::span<const std::byte> block) {
                      EXPECT_EQ(checked.ok(), locations[i] % 7 != 0);
                      EXPECT_TRUE(!checked.ok() || LoadLe<uint64_t>(block.data() + 2048) == locations[i]);
                      visited.push_back(i);
                      ++dealt[i];
                    },
                    [&](size_t lane, size_t i, std::span<const std::byte> block) {
                      EXPECT_LT(lane, TolerantReader::kLanes);
                      EXPECT_EQ(LoadLe<uint64_t>(block.data() + 2048), locations[i]);
                      if (i % 5 == 0) return false;
                      ++dealt[i];
                      return true;
                    }),
                IsOk());
    EXPECT_TRUE(std::is_sorted(visited.begin(), visited.end()));
    for (const auto& times : dealt) EXPECT_EQ(times.load(), 1);
    EXPECT_EQ(told, 3000u);
  }
}

}  // namespace
}  // namespace dmcached
