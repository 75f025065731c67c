// Arbitrary metadata: probing, checking, opening, listing, looking up and changing whatever a device holds neither
// crashes nor hangs, reads out of bounds or takes unbounded memory; and what opens for writing is free of fatal damage
// after a commit.
//
// An input is a list of patches on one of some sound images.  The checksums of patched blocks are mended, so that the
// damage gets past them; a patch may also leave the checksum wrong, or make a block one of another kind.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/check.h"
#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "core/format/seal.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/device_source.h"
#include "tests/fuzz/metadata_reads.h"
#include "tests/support/deepened_image.h"
#include "tests/support/fixtures.h"
#include "tests/support/open_cache.h"

namespace dmcached {
namespace {

using Image = std::vector<std::byte>;

constexpr uint32_t kCacheBlocks = 520;
constexpr uint64_t kMostBlocks = 128;

constexpr std::array kTypes = {BlockType::kSuperblock, BlockType::kBtreeNode, BlockType::kArrayBlock,
                               BlockType::kSpaceMapIndex, BlockType::kSpaceMapBitmap};

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::abort();
}

// A cache with some of everything on 60 blocks.  What costs time is the entries, each of which is looked at some ten
// times under instrumentation: so few that the mappings just need a second array block.
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
  const std::vector<uint32_t> cblocks = {0, 1, 5, 508, 509, 519};
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

// The same metadata on a smaller device: a kernel's uses its first blocks only, and checking the others takes time.
Image Shortened(Image image) {
  image.resize(kMostBlocks * kMetadataBlockBytes);
  const auto block = std::span(image).first(kMetadataBlockBytes);
  MutableDiskView<DiskSuperblock>(block).metadata_space_map_root.nr_blocks.store(kMostBlocks);
  SealBlock(BlockType::kSuperblock, MetadataBlock(kSuperblockLocation), block);
  return image;
}

const std::vector<Image>& BaseImages() {
  static const std::vector<Image> images = [] {
    std::vector<Image> made = {SmallImage(1, kCacheBlocks), SmallImage(2, kCacheBlocks), SmallImage(2, 0),
                               Deepened(SmallImage(2, kCacheBlocks), /*root=*/58)};
    for (const std::string& name : FixtureNames()) {
      // The one that fills many blocks is there for its deep index, which another image has.
      if (name != "v2-deep") made.push_back(Shortened(FixtureImage(name)));
    }
    return made;
  }();
  return images;
}

using Block = std::array<std::byte, kMetadataBlockBytes>;

// An image with some blocks changed: neither a copy nor a new device of one costs more than what differs.
class PatchedDevice : public BlockDevice {
 public:
  // `image` outlives the device.
  explicit PatchedDevice(const Image& image) : BlockDevice("image", nullptr), image_(image) {}
  PatchedDevice(const PatchedDevice& other)
      : BlockDevice("image", nullptr), image_(other.image_), changed_(other.changed_) {}

  uint64_t size_bytes() const override { return image_.size(); }
  size_t alignment_bytes() const override { return AlignedBuffer::kAlignmentBytes; }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

  uint64_t blocks() const { return image_.size() / kMetadataBlockBytes; }
  Block Get(uint64_t block) const {
    const auto changed = changed_.find(block);
    if (changed != changed_.end()) return changed->second;
    Block bytes;
    std::memcpy(bytes.data(), image_.data() + block * kMetadataBlockBytes, bytes.size());
    return bytes;
  }
  void Set(uint64_t block, const Block& bytes) { changed_[block] = bytes; }
  // From now on whoever writes dies.
  void Fix() { fixed_ = true; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    uint64_t block = offset_bytes / kMetadataBlockBytes;
    for (std::span<std::byte> buffer : buffers) {
      for (; !buffer.empty(); buffer = buffer.subspan(kMetadataBlockBytes)) {
        const auto changed = changed_.find(block);
        std::memcpy(buffer.data(),
                    changed != changed_.end() ? changed->second.data() : image_.data() + block * kMetadataBlockBytes,
                    kMetadataBlockBytes);
        ++block;
      }
    }
    return absl::OkStatus();
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    DMCACHED_CHECK(!fixed_);
    uint64_t block = offset_bytes / kMetadataBlockBytes;
    for (std::span<const std::byte> buffer : buffers) {
      for (; !buffer.empty(); buffer = buffer.subspan(kMetadataBlockBytes)) {
        std::memcpy(changed_[block++].data(), buffer.data(), kMetadataBlockBytes);
      }
    }
    return absl::OkStatus();
  }
  absl::Status DoFlush() override {
    DMCACHED_CHECK(!fixed_);
    return absl::OkStatus();
  }

 private:
  const Image& image_;
  std::unordered_map<uint64_t, Block> changed_;
  bool fixed_ = false;
};

std::optional<BlockType> TypeOf(const Block& block, uint64_t location) {
  for (const BlockType type : kTypes) {
    if (CheckBlock(type, MetadataBlock(location), block).ok()) return type;
  }
  return std::nullopt;
}

PatchedDevice MakeImage(FuzzedDataProvider& data) {
  const auto& bases = BaseImages();
  PatchedDevice image(bases[data.ConsumeIntegralInRange<size_t>(0, bases.size() - 1)]);
  const size_t patches = data.ConsumeIntegralInRange<size_t>(0, 24);
  for (size_t i = 0; i < patches; ++i) {
    const uint64_t location = data.ConsumeIntegralInRange<uint64_t>(0, image.blocks() - 1);
    Block block = image.Get(location);
    std::optional<BlockType> type = TypeOf(block, location);
    if (data.ConsumeIntegralInRange<int>(0, 9) == 0) {  // Another block's bytes.
      const uint64_t other = data.ConsumeIntegralInRange<uint64_t>(0, image.blocks() - 1);
      block = image.Get(other);
      type = TypeOf(block, other);
    }
    const size_t at = data.ConsumeIntegralInRange<size_t>(0, kMetadataBlockBytes - 1);
    const auto bytes = data.ConsumeBytes<uint8_t>(data.ConsumeIntegralInRange<size_t>(0, 16));
    for (size_t k = 0; k < bytes.size() && at + k < block.size(); ++k) block[at + k] = std::byte{bytes[k]};
    const int seal = data.ConsumeIntegralInRange<int>(0, 15);
    if (seal != 0 && seal < 4) type = data.PickValueInArray(kTypes);
    if (seal != 0 && type.has_value())
      SealBlock(*type, MetadataBlock(location), block);  // 0: the checksum stays wrong.
    image.Set(location, block);
  }
  return image;
}

// Keeps the first fatal finding.
class FatalSink : public CheckSink {
 public:
  void OnProgress(uint64_t done, uint64_t total) override { DMCACHED_CHECK(done <= total); }
  void OnFinding(const Finding& finding) override {
    DMCACHED_CHECK(!finding.message.empty());
    if (finding.severity == Severity::kFatal && fatal_.empty()) fatal_ = finding.message;
  }
  const std::string& fatal() const { return fatal_; }

 private:
  std::string fatal_;
};

// Nothing, the check's own error, or the first fatal finding.
std::string Check(BlockDevice& device) {
  DeviceSource source(device);
  FatalSink sink;
  const absl::StatusOr<CheckSummary> summary = CheckMetadata(source, {}, sink);
  return summary.ok() ? sink.fatal() : summary.status().ToString();
}

void MustBeSound(BlockDevice& device) {
  const std::string found = Check(device);
  if (found.empty()) return;
  std::fprintf(stderr, "%s\n", found.c_str());
  std::abort();
}

void ReadAll(CacheMetadata& cache) {
  uint64_t end = 0;
  (void)cache.LoadMappings(std::nullopt, 4, [&](const LoadedMapping& mapping) {
    DMCACHED_CHECK(mapping.cblock.value() < cache.cache_blocks());
    return absl::OkStatus();
  });
  const absl::Status discards = cache.LoadDiscards([&](const DblockRange& range) {
    DMCACHED_CHECK(range.begin.value() >= end && range.begin < range.end);
    end = range.end.value();
    return absl::OkStatus();
  });
  DMCACHED_CHECK(!discards.ok() || end <= cache.superblock().discard_blocks);
}

void ReadOnly(const std::shared_ptr<PatchedDevice>& device, FuzzedDataProvider& data) {
  (void)CacheMetadata::Probe(*device);
  OpenParams params;
  params.read_only = true;
  const auto cache = CacheMetadata::Open(device, params, NewCounters());
  if (!cache.ok()) return;
  ReadAll(**cache);
  ListMetadata(**cache, data);
  LookUpBlocks(**cache, data);
}

void Writable(const PatchedDevice& image, DirtyTracking tracking, FuzzedDataProvider& data) {
  auto device = std::make_shared<PatchedDevice>(image);  // Not fixed.
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
  MustBeSound(*device);
}

}  // namespace
}  // namespace dmcached

// Freed images in quarantine make every execution fault in fresh pages.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "quarantine_size_mb=4:malloc_context_size=5";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using namespace dmcached;  // NOLINT(google-build-using-namespace)
  FuzzedDataProvider data(bytes, size);
  static const bool sound = [] {  // Else the damage would not get past what is wrong anyhow.
    for (const Image& base : BaseImages()) {
      PatchedDevice device(base);
      MustBeSound(device);
    }
    return true;
  }();
  DMCACHED_CHECK(sound);
  const auto image = std::make_shared<PatchedDevice>(MakeImage(data));
  image->Fix();
  (void)Check(*image);
  ReadOnly(image, data);
  Writable(*image, DirtyTracking::kExact, data);
  Writable(*image, DirtyTracking::kConservative, data);
  return 0;
}
