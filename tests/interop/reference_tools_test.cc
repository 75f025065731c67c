// Both ways with the reference tools 0.9.0: they accept and dump what dmcached writes, and dmcached reads what they
// restore.
#include "tests/support/reference_tools.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/cache/geometry.h"
#include "core/device/file_device.h"
#include "core/device/memory_device.h"
#include "tests/support/cache_model.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"
#include "tests/support/random.h"
#include "tests/support/random_mutation.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

constexpr uint32_t kDataBlockSectors = 128;

struct Shape {
  uint32_t version;
  uint32_t cache_blocks;
  uint64_t metadata_blocks = 0;  // 0: four times what a full cache needs.
};

FormatParams ParamsOf(const Shape& shape) {
  FormatParams params;
  params.version = shape.version;
  params.data_block_size = Sectors(kDataBlockSectors);
  params.cache_blocks = shape.cache_blocks;
  params.origin_size = Sectors(kDataBlockSectors * (uint64_t{2} * shape.cache_blocks + 100));
  params.policy_name = "smq";
  return params;
}

uint64_t MetadataBlocks(const Shape& shape) {
  if (shape.metadata_blocks != 0) return shape.metadata_blocks;
  return std::max<uint64_t>(1024, 4 * LiveMetadataBlocks(shape.version, shape.cache_blocks, 16384, true, 4096));
}

// Applies to the cache and to its model what the model accepts.
class Pair {
 public:
  Pair(std::shared_ptr<BlockDevice> device, const Shape& shape, Random& random)
      : device_(std::move(device)), shape_(shape), random_(random), model_(ParamsOf(shape)) {}

  void Run() {
    auto formatted = CacheMetadata::Format(device_, ParamsOf(shape_), NewCounters());
    ASSERT_THAT(formatted, IsOk());
    cache_ = *std::move(formatted);
    Fill();
    Apply(BeginHints{.policy_name = "smq", .policy_version = {.major = 2, .minor = 0, .patch = 0}});
    HintAll();
    Commit();
    MutationLimits limits;
    limits.max_origin_blocks = uint64_t{2} * shape_.cache_blocks + 100;
    limits.max_items = 300;
    limits.resize = false;
    for (int i = 0; i < 40 && !testing::Test::HasFailure(); ++i) {
      const RandomMutation request(model_, limits, random_);
      if (request.mutation().index() == 6 || !model_.Faults(request.mutation()).empty()) continue;  // Hints stay.
      Apply(request.mutation());
      if (random_.OneIn(10)) Commit();
    }
    Commit();
  }

  const CacheContents& contents() const { return model_.durable(); }

 private:
  void Apply(const Mutation& mutation) {
    const absl::StatusOr<uint32_t> result = ApplyNow(*cache_, mutation);
    ASSERT_THAT(result, IsOk());
    EXPECT_EQ(*result, model_.Apply(mutation));
  }
  void Commit() {
    ASSERT_THAT(cache_->Commit(true), IsOk());
    model_.Prepare(true);
    model_.Finish();
  }

  // Most of the cache, in random order, half of it dirty.
  void Fill() {
    std::vector<uint32_t> cblocks(shape_.cache_blocks);
    std::iota(cblocks.begin(), cblocks.end(), 0u);
    std::vector<uint64_t> oblocks(2 * cblocks.size());
    std::iota(oblocks.begin(), oblocks.end(), uint64_t{0});
    std::shuffle(cblocks.begin(), cblocks.end(), random_.engine());
    std::shuffle(oblocks.begin(), oblocks.end(), random_.engine());
    if (!random_.OneIn(3)) cblocks.resize(cblocks.size() * 9 / 10);
    const auto dirty = std::make_unique<bool[]>(kMaxItemsPerRequest);
    for (size_t i = 0; i < kMaxItemsPerRequest; ++i) dirty[i] = random_.OneIn(2);
    for (size_t begin = 0; begin < cblocks.size(); begin += kMaxItemsPerRequest) {
      const size_t count = std::min(cblocks.size() - begin, kMaxItemsPerRequest);
      Apply(InsertMappings{.cblocks = std::span(cblocks).subspan(begin, count),
                           .oblocks = std::span(oblocks).subspan(begin, count),
                           .dirty = std::span<const bool>(dirty.get(), count),
                           .reservation = std::nullopt});
      if (random_.OneIn(2)) Commit();
    }
  }

  void HintAll() {
    if (shape_.cache_blocks == 0) return;
    std::vector<uint32_t> cblocks;
    std::vector<uint32_t> hints;
    for (uint32_t i = 0; i < shape_.cache_blocks; ++i) {
      cblocks.push_back(i);
      hints.push_back(static_cast<uint32_t>(random_.Next()));
      if (cblocks.size() < kMaxItemsPerRequest && i + 1 < shape_.cache_blocks) continue;
      Apply(SaveHints{.cblocks = cblocks, .hints = hints});
      cblocks.clear();
      hints.clear();
    }
  }

  std::shared_ptr<BlockDevice> device_;
  const Shape shape_;
  Random& random_;
  CacheModel model_;
  std::unique_ptr<CacheMetadata> cache_;
};

void ExpectTheToolsAgree(std::span<const std::byte> image, const CacheContents& expected) {
  const WalkedImage walked = WalkImage(image);
  EXPECT_EQ(walked.Faults(), "");
  EXPECT_EQ(Difference(walked.contents, expected), "");
  const ToolResult check = RunCacheCheck(image);
  // The tool's false alarm: it finds missing blocks in an empty cache.
  if (expected.cache_blocks == 0) return;
  EXPECT_EQ(check.exit_status, 0) << check.output;
  EXPECT_TRUE(RunCacheDump(image) == ReferenceDumpOf(expected));
}

// Hints of unmapped cblocks cannot be read through the cache.
CacheContents WithoutUnmappedHints(CacheContents contents) {
  if (!contents.hints.has_value()) return contents;
  for (uint32_t i = 0; i < contents.cache_blocks; ++i) {
    if (!contents.mappings.contains(i)) (*contents.hints)[i] = 0;
  }
  return contents;
}

void ExpectReopenedItReads(const std::shared_ptr<BlockDevice>& device, const CacheContents& expected) {
  for (const bool read_only : {true, false}) {
    OpenParams params;
    params.read_only = read_only;
    auto cache = CacheMetadata::Open(device, params, NewCounters());
    ASSERT_THAT(cache, IsOk());
    const absl::StatusOr<CacheContents> found = ReadContents(**cache);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(Difference(*found, WithoutUnmappedHints(expected)), "");
  }
}

class WrittenImageTest : public testing::TestWithParam<Shape> {};

TEST_P(WrittenImageTest, TheToolsAcceptAndDumpIt) {
  Random random;
  const Shape shape = GetParam();
  auto device = std::make_shared<MemoryDevice>(MetadataBlocks(shape) * kMetadataBlockBytes);
  Pair pair(device, shape, random);
  pair.Run();
  if (HasFailure()) return;
  ExpectTheToolsAgree(device->Image(), pair.contents());
  ExpectReopenedItReads(device, pair.contents());
}

TEST_P(WrittenImageTest, DeepIndexesHaveTwoLevels) {
  const Shape shape = GetParam();
  if (shape.cache_blocks <= 252 * 509) return;
  auto device = std::make_shared<MemoryDevice>(MetadataBlocks(shape) * kMetadataBlockBytes);
  ASSERT_THAT(CacheMetadata::Format(device, ParamsOf(shape), NewCounters()), IsOk());
  const WalkedImage walked = WalkImage(device->Image());
  EXPECT_EQ(walked.Faults(), "");
  EXPECT_EQ(walked.index_levels, 2u);
}

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const uint32_t version : {1u, 2u}) {
    for (const uint32_t blocks : {0u, 1u, 63u, 64u, 65u, 508u, 509u, 510u, 1018u, 1019u, 5000u, 32575u, 32576u, 32577u,
                                  128268u, 128269u, 140000u}) {
      shapes.push_back({.version = version, .cache_blocks = blocks});
    }
    shapes.push_back({.version = version, .cache_blocks = 3000, .metadata_blocks = 17920});
    shapes.push_back({.version = version, .cache_blocks = 3000, .metadata_blocks = 16320});
    shapes.push_back({.version = version, .cache_blocks = 3000, .metadata_blocks = 16321});
  }
  return shapes;
}

std::string ShapeName(const testing::TestParamInfo<Shape>& configuration) {
  const Shape& shape = configuration.param;
  return "Version" + std::to_string(shape.version) + "CacheBlocks" + std::to_string(shape.cache_blocks) +
         (shape.metadata_blocks == 0 ? "" : "MetadataBlocks" + std::to_string(shape.metadata_blocks));
}

INSTANTIATE_TEST_SUITE_P(All, WrittenImageTest, testing::ValuesIn(Shapes()), ShapeName);

TEST(WrittenFileTest, TheToolsAcceptAFileThatFileDeviceWrote) {
  Random random;
  for (const uint32_t version : {1u, 2u}) {
    const TempDir dir;
    const std::string path = dir.CreateFile("meta", 4u << 20);
    DeviceRequest request;
    request.path = path;
    auto opened = OpenFileDevice(request, nullptr);
    ASSERT_THAT(opened, IsOk());
    std::shared_ptr<BlockDevice> device = *std::move(opened);
    Pair pair(device, {.version = version, .cache_blocks = 2000}, random);
    pair.Run();
    if (HasFailure()) return;
    ExpectReopenedItReads(device, pair.contents());
    device.reset();
    std::ifstream stream(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    ExpectTheToolsAgree(std::as_bytes(std::span(bytes)), pair.contents());
  }
}

// --- Images that cache_restore made ---

XmlDump RandomDump(uint32_t cache_blocks, Random& random) {
  XmlDump dump = {.block_size = kDataBlockSectors,
                  .cache_blocks = cache_blocks,
                  .policy = "smq",
                  .hint_width = 4,
                  .mappings = {},
                  .hints = {},
                  .discards = {}};
  for (uint32_t cblock = 0; cblock < cache_blocks; ++cblock) {
    if (random.OneIn(3)) continue;
    dump.mappings[cblock] = {.oblock = uint64_t{cache_blocks} * 3 - cblock, .dirty = random.OneIn(2)};
    dump.hints[cblock] = static_cast<uint32_t>(random.Next());
  }
  return dump;
}

class RestoredImageTest : public testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    dump_ = RandomDump(GetParam().cache_blocks, random_);
    image_ = RunCacheRestore(dump_, GetParam().version, MetadataBlocks(GetParam()));
    device_ = std::make_shared<MemoryDevice>(image_);
  }
  absl::StatusOr<std::unique_ptr<CacheMetadata>> Open(bool read_only) {
    OpenParams params;
    params.read_only = read_only;
    return CacheMetadata::Open(device_, params, NewCounters());
  }

  Random random_;
  XmlDump dump_;
  std::vector<std::byte> image_;
  std::shared_ptr<MemoryDevice> device_;
};

TEST_P(RestoredImageTest, ItReadsAsTheXmlSays) {
  const WalkedImage walked = WalkImage(image_);
  EXPECT_THAT(walked.problems, testing::IsEmpty());
  EXPECT_TRUE(DumpOf(walked.contents) == dump_);
  if (GetParam().version == 1) {
    // One leaked block: the root of a dirty bitset that version 1 has no use for.
    EXPECT_EQ(walked.blemishes.size(), 1u) << walked.Faults();
  }
  auto cache = Open(/*read_only=*/true);
  ASSERT_THAT(cache, IsOk());
  const absl::StatusOr<CacheContents> found = ReadContents(**cache);
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ(found->mappings, dump_.mappings);
  EXPECT_TRUE(found->clean_shutdown);
  // The tool writes hint size 0, and the kernel too ignores hints then.
  EXPECT_EQ(found->policy_hint_size, 0u);
  EXPECT_FALSE(found->hints.has_value());
  EXPECT_EQ((*cache)->dirty_blocks(),
            std::count_if(dump_.mappings.begin(), dump_.mappings.end(), [](const auto& m) { return m.second.dirty; }));
  EXPECT_TRUE(device_->Image() == image_);
}

// The stray dirty bits of unmapped cblocks and past the end never become anybody's.
TEST_P(RestoredImageTest, ItsStrayDirtyBitsDoNoHarm) {
  auto opened = Open(/*read_only=*/false);
  ASSERT_THAT(opened, IsOk());
  CacheMetadata& cache = **opened;
  std::map<uint32_t, MappedTo> expected = dump_.mappings;
  const uint32_t grown = GetParam().cache_blocks + 70;
  ASSERT_THAT(ApplyNow(cache, Resize{.cache_blocks = grown, .origin_size = std::nullopt}), IsOk());
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;
  for (uint32_t cblock = 0; cblock < grown; ++cblock) {
    if (expected.contains(cblock)) continue;
    cblocks.push_back(cblock);
    oblocks.push_back(uint64_t{10} * grown + cblock);
    expected[cblock] = {.oblock = oblocks.back(), .dirty = false};
  }
  for (size_t begin = 0; begin < cblocks.size(); begin += kMaxItemsPerRequest) {
    const size_t count = std::min(cblocks.size() - begin, kMaxItemsPerRequest);
    ASSERT_THAT(ApplyNow(cache, InsertMappings{.cblocks = std::span(cblocks).subspan(begin, count),
                                               .oblocks = std::span(oblocks).subspan(begin, count),
                                               .dirty = {},
                                               .reservation = std::nullopt}),
                IsOk());
  }
  ASSERT_THAT(cache.Commit(true), IsOk());
  const WalkedImage walked = WalkImage(device_->Image());
  EXPECT_THAT(walked.problems, testing::IsEmpty());
  EXPECT_TRUE(walked.contents.mappings == expected);
  EXPECT_EQ(walked.contents.cache_blocks, grown);
  const ToolResult check = RunCacheCheck(device_->Image());
  EXPECT_EQ(check.exit_status, 0) << check.output;
}

TEST_P(RestoredImageTest, ItShrinksToItsLastDirtyBlock) {
  auto opened = Open(/*read_only=*/false);
  ASSERT_THAT(opened, IsOk());
  uint32_t kept = 0;
  for (const auto& [cblock, to] : dump_.mappings) {
    if (to.dirty) kept = cblock + 1;
  }
  if (kept > 0) {
    EXPECT_THAT(ApplyNow(**opened, Resize{.cache_blocks = kept - 1, .origin_size = std::nullopt}),
                HasReasonIs(Reason::kDirtyBlocks));
  }
  ASSERT_THAT(ApplyNow(**opened, Resize{.cache_blocks = kept, .origin_size = std::nullopt}), IsOk());
  ASSERT_THAT((*opened)->Commit(true), IsOk());
  const WalkedImage walked = WalkImage(device_->Image());
  EXPECT_THAT(walked.problems, testing::IsEmpty());
  auto expected = dump_.mappings;
  expected.erase(expected.lower_bound(kept), expected.end());
  EXPECT_TRUE(walked.contents.mappings == expected);
}

std::vector<Shape> RestoredShapes() {
  std::vector<Shape> shapes;
  for (const uint32_t version : {1u, 2u}) {
    for (const uint32_t blocks : {1u, 64u, 65u, 509u, 510u, 1019u, 32577u, 140000u}) {
      shapes.push_back({.version = version, .cache_blocks = blocks});
    }
    shapes.push_back({.version = version, .cache_blocks = 3000, .metadata_blocks = 17920});
  }
  return shapes;
}

INSTANTIATE_TEST_SUITE_P(All, RestoredImageTest, testing::ValuesIn(RestoredShapes()), ShapeName);

}  // namespace
}  // namespace dmcached
