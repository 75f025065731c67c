#include "core/store/block_reader.h"

#include <algorithm>

#include "core/base/aligned_buffer.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/format/seal.h"

namespace dmcached {

absl::Status ReadArrayBlocks(BlockDevice& device, std::span<const uint32_t> locations,
                             const std::function<absl::Status(size_t i, std::span<const std::byte> block)>& visit) {
  constexpr size_t kRunBlocks = 256;
  AlignedBuffer buffer(std::min(kRunBlocks, locations.size()) * kMetadataBlockBytes);
  for (size_t begin = 0; begin < locations.size();) {
    size_t end = begin + 1;
    while (end < locations.size() && end - begin < kRunBlocks && locations[end] == locations[end - 1] + 1) ++end;
    const auto bytes = buffer.span().first((end - begin) * kMetadataBlockBytes);
    DMCACHED_RETURN_IF_ERROR(device.Read(BlockOffsetBytes(MetadataBlock(locations[begin])), bytes));
    for (size_t i = begin; i < end; ++i) {
      const auto block = bytes.subspan((i - begin) * kMetadataBlockBytes, kMetadataBlockBytes);
      DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kArrayBlock, MetadataBlock(locations[i]), block));
      DMCACHED_RETURN_IF_ERROR(visit(i, block));
    }
    begin = end;
  }
  return absl::OkStatus();
}

}  // namespace dmcached
