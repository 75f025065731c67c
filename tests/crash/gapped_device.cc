#include "tests/crash/gapped_device.h"

#include <memory>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"
#include "tests/support/faulty_device.h"
#include "tests/support/open_cache.h"

namespace dmcached {

template <typename Buffers>
absl::StatusOr<uint64_t> GappedDevice::KeptOffset(uint64_t offset_bytes, Buffers buffers) const {
  uint64_t end = offset_bytes;
  for (const auto& buffer : buffers) end += buffer.size();
  if (gap_.empty() || end <= gap_.first * kMetadataBlockBytes) return offset_bytes;
  if (offset_bytes >= gap_.end * kMetadataBlockBytes) return offset_bytes - gap_.blocks() * kMetadataBlockBytes;
  return MakeError(Reason::kIoError, absl::StrCat("bytes ", offset_bytes, " to ", end, " touch the gap"));
}

namespace {

// Marks the gap's blocks used.
void FillGap(std::span<std::byte> image, const Gap& gap) {
  const auto block = [&](uint64_t location) {
    return image.subspan(gap.Kept(location) * kMetadataBlockBytes, kMetadataBlockBytes);
  };
  auto& superblock = MutableDiskView<DiskSuperblock>(block(kSuperblockLocation));
  DiskSpaceMapRoot& map = superblock.metadata_space_map_root;
  map.nr_allocated.store(map.nr_allocated.load() + gap.blocks());
  const uint64_t index_location = map.bitmap_root.load();
  DiskIndexEntry& entry = MutableDiskView<DiskIndexBlock>(block(index_location)).entries[0];
  entry.nr_free.store(entry.nr_free.load() - static_cast<uint32_t>(gap.blocks()));
  const uint64_t bitmap_location = entry.blocknr.load();
  auto& words = MutableDiskView<DiskBitmapBlock>(block(bitmap_location)).words;
  for (uint64_t i = gap.first; i < gap.end; ++i) {
    Le64& counts = words[i / kEntriesPerBitmapWord];
    counts.store(counts.load() | kBitmapCount1 << (2 * (i % kEntriesPerBitmapWord)));
  }
  SealBlock(BlockType::kSpaceMapBitmap, MetadataBlock(bitmap_location), block(bitmap_location));
  SealBlock(BlockType::kSpaceMapIndex, MetadataBlock(index_location), block(index_location));
  SealBlock(BlockType::kSuperblock, MetadataBlock(kSuperblockLocation), block(kSuperblockLocation));
}

}  // namespace

absl::Status GappedDevice::DoReadV(uint64_t offset_bytes, ReadBuffers buffers) {
  DMCACHED_ASSIGN_OR_RETURN(const uint64_t kept, KeptOffset(offset_bytes, buffers));
  return kept_.ReadV(kept, buffers);
}

absl::Status GappedDevice::DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) {
  DMCACHED_ASSIGN_OR_RETURN(const uint64_t kept, KeptOffset(offset_bytes, buffers));
  return kept_.WriteV(kept, buffers);
}

GappedImage FormatGapped(FormatParams params, uint64_t below, uint64_t above) {
  constexpr uint64_t kMostAtFirst = 64;
  Gap gap = {.first = kMostAtFirst, .end = kEntriesPerBitmap - below};
  FaultyDevice device((gap.first + below + above) * kMetadataBlockBytes);
  params.force = true;  // Whether the device is empty is not looked up in the gap.
  const auto formatted = CacheMetadata::Format(std::make_shared<GappedDevice>(device, gap), params, NewCounters());
  DMCACHED_CHECK(formatted.ok());

  std::vector<std::byte> image = device.Image();
  const auto is_written = [&](uint64_t block) {
    return !IsUnformatted(std::span(image).subspan(block * kMetadataBlockBytes, kMetadataBlockBytes));
  };
  while (!is_written(gap.first - 1)) --gap.first;
  const auto free = image.begin() + static_cast<std::ptrdiff_t>(gap.first * kMetadataBlockBytes);
  image.erase(free, image.begin() + static_cast<std::ptrdiff_t>(kMostAtFirst * kMetadataBlockBytes));
  FillGap(image, gap);
  return {gap, std::move(image)};
}

}  // namespace dmcached
