#include "tests/fault/shrinking_device.h"

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

// The pieces, or parts of them, that lie before `end`.
template <typename Buffers>
auto Before(uint64_t end, uint64_t offset_bytes, Buffers buffers) {
  std::vector<typename Buffers::value_type> before;
  for (const auto& buffer : buffers) {
    if (offset_bytes >= end) break;
    before.push_back(buffer.first(std::min<uint64_t>(buffer.size(), end - offset_bytes)));
    offset_bytes += buffer.size();
  }
  return before;
}

template <typename Buffers>
bool Crosses(uint64_t end, uint64_t offset_bytes, Buffers buffers) {
  for (const auto& buffer : buffers) offset_bytes += buffer.size();
  return offset_bytes > end;
}

}  // namespace

ShrinkingDevice::ShrinkingDevice(BlockDevice& device, Shrinking& shrinking)
    : BlockDevice("shrinking", nullptr), device_(device), shrinking_(shrinking), size_bytes_(End()) {}

absl::Status ShrinkingDevice::DoReadV(uint64_t offset_bytes, ReadBuffers buffers) {
  if (!Crosses(End(), offset_bytes, buffers)) return device_.ReadV(offset_bytes, buffers);
  const auto before = Before(End(), offset_bytes, buffers);
  if (!before.empty()) DMCACHED_RETURN_IF_ERROR(device_.ReadV(offset_bytes, before));
  return MakeError(Reason::kIoError, absl::StrCat(name(), ": read beyond byte ", End(), ", where it now ends"), EIO);
}

absl::Status ShrinkingDevice::DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) {
  ++shrinking_.writes;
  if (!Crosses(End(), offset_bytes, buffers)) return device_.WriteV(offset_bytes, buffers);
  const auto before = Before(End(), offset_bytes, buffers);
  if (!before.empty()) DMCACHED_RETURN_IF_ERROR(device_.WriteV(offset_bytes, before));
  return MakeError(Reason::kMetadataNoSpace, absl::StrCat(name(), ": write beyond byte ", End(), ", where it now ends"),
                   ENOSPC);
}

}  // namespace dmcached
