#include "core/store/bulk_writer.h"

#include <algorithm>
#include <cstring>

#include "core/base/status.h"
#include "core/store/packed_array.h"
#include "core/store/run_writer.h"

namespace dmcached {

absl::Status WriteBulk(BlockDevice& device, std::vector<BulkBlock>& blocks) {
  std::sort(blocks.begin(), blocks.end(),
            [](const BulkBlock& a, const BulkBlock& b) { return a.location < b.location; });
  RunWriter writer(device, blocks.size());
  for (const BulkBlock& block : blocks) {
    DMCACHED_ASSIGN_OR_RETURN(const std::span<std::byte> bytes, writer.Next(block.location));
    if (block.contents != nullptr) {
      std::memcpy(bytes.data(), block.contents->data(), bytes.size());
    } else {
      std::memset(bytes.data(), 0, bytes.size());
      InitArrayBlock(block.value_size, block.entries, bytes);
    }
    writer.Seal(block.type);
  }
  return writer.Finish();
}

}  // namespace dmcached
