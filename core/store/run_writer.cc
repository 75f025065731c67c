#include "core/store/run_writer.h"

#include "core/base/status.h"

namespace dmcached {

absl::StatusOr<std::span<std::byte>> RunWriter::Next(MetadataBlock location) {
  if (blocks_ == run_blocks_ || (blocks_ > 0 && location.value() != first_.value() + blocks_)) {
    DMCACHED_RETURN_IF_ERROR(Finish());
  }
  if (blocks_ == 0) first_ = location;
  return Block(blocks_++);
}

absl::Status RunWriter::Finish() {
  if (blocks_ == 0) return absl::OkStatus();
  const uint64_t bytes = blocks_ * kMetadataBlockBytes;
  blocks_ = 0;
  return device_.Write(BlockOffsetBytes(first_), staging_.span().first(bytes));
}

}  // namespace dmcached
