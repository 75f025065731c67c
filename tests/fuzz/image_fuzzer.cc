// Arbitrary metadata: probing, checking, opening, reading and changing whatever a device holds neither crashes nor
// hangs, reads out of bounds or takes unbounded memory; and what opens for writing is free of fatal damage after a
// commit.
//
// An input is a list of patches on one of some sound images.  The checksums of patched blocks are mended, so that the
// damage gets past them; a patch may also leave the checksum wrong, or make a block one of another kind.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/base/check.h"
#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "core/format/seal.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/device_source.h"
#include "tests/support/fixtures.h"
#include "tests/support/open_cache.h"

namespace dmcached {
namespace {

using Image = std::vector<std::byte>;

constexpr std::array kTypes = {BlockType::kSuperblock, BlockType::kBtreeNode, BlockType::kArrayBlock,
                               BlockType::kSpaceMapIndex, BlockType::kSpaceMapBitmap};

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

// A cache with some of everything on 60 blocks.
Image SmallImage(uint32_t version, uint32_t cache_blocks) {
  auto device = std::make_shared<MemoryDevice>(60 * kMetadataBlockBytes);
  FormatParams params;
  params.version = version;
  params.data_block_size = Sectors(64);
  params.cache_blocks = cache_blocks;
  params.origin_size = Sectors(uint64_t{64} * 9000);
  params.policy_name = "smq";
  auto cache = CacheMetadata::Format(device, params, NewCounters());
  Must(cache.status());
  const std::vector<uint32_t> cblocks = {0, 1, 5, 508, 509, 700};
  const std::vector<uint64_t> oblocks = {10, 8999, 3, 77, 78, 79};
  const std::array<bool, 6> dirty = {true, false, true, false, true, false};
  const std::vector<uint32_t> hints = {1, 2, 3, 4, 5, 6};
  const std::array<DblockRange, 1> discards = {DblockRange{Dblock(100), Dblock(200)}};
  if (cache_blocks != 0) {
    Must(ApplyNow(**cache, InsertMappings{.cblocks = cblocks, .oblocks = oblocks, .dirty = dirty, .reservation = {}})
             .status());
    Must(ApplyNow(**cache, BeginHints{.policy_name = "smq", .policy_version = {1, 2, 3}, .hint_size_bytes = 4})
             .status());
    Must(ApplyNow(**cache, SaveHints{.cblocks = cblocks, .hints = hints}).status());
  }
  Must(ApplyNow(**cache, SetDiscards{.ranges = discards, .discard_dirty = false}).status());
  Must((*cache)->Commit(true));
  return device->Image();
}

const std::vector<Image>& BaseImages() {
  static const std::vector<Image> images = [] {
    std::vector<Image> made = {SmallImage(1, 1000), SmallImage(2, 1000), SmallImage(2, 0)};
    for (const std::string& name : FixtureNames()) made.push_back(FixtureImage(name));
    return made;
  }();
  return images;
}

std::span<std::byte> BlockOf(Image& image, uint64_t block) {
  return std::span(image).subspan(block * kMetadataBlockBytes, kMetadataBlockBytes);
}

std::optional<BlockType> TypeOf(std::span<const std::byte> block, uint64_t location) {
  for (const BlockType type : kTypes) {
    if (CheckBlock(type, MetadataBlock(location), block).ok()) return type;
  }
  return std::nullopt;
}

Image MakeImage(FuzzedDataProvider& data) {
  const auto& bases = BaseImages();
  // Small ones more often: they are much quicker.
  const bool small = data.ConsumeIntegralInRange<int>(0, 31) != 0;
  const size_t base = data.ConsumeIntegralInRange<size_t>(0, small ? 2 : bases.size() - 1);
  Image image = bases[base];
  const uint64_t blocks = image.size() / kMetadataBlockBytes;
  const size_t patches = data.ConsumeIntegralInRange<size_t>(0, 24);
  for (size_t i = 0; i < patches; ++i) {
    const uint64_t location = data.ConsumeIntegralInRange<uint64_t>(0, blocks - 1);
    const std::span<std::byte> block = BlockOf(image, location);
    std::optional<BlockType> type = TypeOf(block, location);
    if (data.ConsumeIntegralInRange<int>(0, 9) == 0) {  // Another block's bytes.
      const uint64_t other = data.ConsumeIntegralInRange<uint64_t>(0, blocks - 1);
      type = TypeOf(BlockOf(image, other), other);
      std::copy_n(BlockOf(image, other).begin(), kMetadataBlockBytes, block.begin());
    }
    const size_t at = data.ConsumeIntegralInRange<size_t>(0, kMetadataBlockBytes - 1);
    const auto bytes = data.ConsumeBytes<uint8_t>(data.ConsumeIntegralInRange<size_t>(0, 16));
    for (size_t k = 0; k < bytes.size() && at + k < block.size(); ++k) block[at + k] = std::byte{bytes[k]};
    const int seal = data.ConsumeIntegralInRange<int>(0, 15);
    if (seal == 0) continue;  // The checksum stays wrong.
    if (seal < 4) type = data.PickValueInArray(kTypes);
    if (type.has_value()) SealBlock(*type, MetadataBlock(location), block);
  }
  return image;
}

class CountingSink : public CheckSink {
 public:
  void OnProgress(uint64_t, uint64_t) override {}
  void OnFinding(const Finding& finding) override { DMCACHED_CHECK(!finding.message.empty()); }
};

std::optional<CheckSummary> Check(BlockDevice& device) {
  DeviceSource source(device);
  CountingSink sink;
  const absl::StatusOr<CheckSummary> summary = CheckMetadata(source, {}, sink);
  return summary.ok() ? std::optional(*summary) : std::nullopt;
}

void ReadOnly(const Image& image) {
  auto device = std::make_shared<MemoryDevice>(image);
  (void)CacheMetadata::Probe(*device);
  OpenParams params;
  params.read_only = true;
  const auto cache = CacheMetadata::Open(device, params, NewCounters());
  if (cache.ok()) (void)ReadContents(**cache);
  DMCACHED_CHECK(device->Image() == image);
}

void Writable(const Image& image, DirtyTracking tracking, FuzzedDataProvider& data) {
  auto device = std::make_shared<MemoryDevice>(image);
  OpenParams params;
  params.dirty_tracking = tracking;
  const auto cache = CacheMetadata::Open(device, params, NewCounters());
  if (!cache.ok()) return;
  const uint32_t end = std::max<uint32_t>((*cache)->cache_blocks(), 1);
  for (int i = data.ConsumeIntegralInRange<int>(0, 6); i > 0; --i) {
    const std::vector<uint32_t> cblocks = {data.ConsumeIntegralInRange<uint32_t>(0, end)};
    const std::vector<uint64_t> oblocks = {data.ConsumeIntegralInRange<uint64_t>(0, 20000)};
    switch (data.ConsumeIntegralInRange<int>(0, 4)) {
      case 0:
        (void)ApplyNow(**cache, InsertMappings{.cblocks = cblocks, .oblocks = oblocks, .dirty = {}, .reservation = {}});
        break;
      case 1:
        (void)ApplyNow(**cache, MarkDirty{.cblocks = cblocks});
        break;
      case 2:
        (void)ApplyNow(**cache, RemoveMappings{.cblocks = {},
                                               .oblocks = {},
                                               .oblock_range = OblockRange{Oblock(0), Oblock(oblocks[0])},
                                               .discard_dirty = true});
        break;
      case 3:
        (void)ApplyNow(**cache, Resize{.cache_blocks = cblocks[0] + 100, .origin_size = {}});
        break;
      default:
        if (!(*cache)->Commit(data.ConsumeBool()).ok()) return;
    }
  }
  if (!(*cache)->Commit(true).ok()) return;
  const std::optional<CheckSummary> after = Check(*device);
  DMCACHED_CHECK(after.has_value() && after->count(Severity::kFatal) == 0);
}

}  // namespace
}  // namespace dmcached

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace dmcached;  // NOLINT(google-build-using-namespace)
  FuzzedDataProvider data(bytes, size);
  const Image image = MakeImage(data);
  MemoryDevice device{std::span<const std::byte>(image)};
  (void)Check(device);
  ReadOnly(image);
  Writable(image, DirtyTracking::kExact, data);
  Writable(image, DirtyTracking::kConservative, data);
  return 0;
}
