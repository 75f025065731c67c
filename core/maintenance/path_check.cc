#include "core/maintenance/path_check.h"

#include <memory>
#include <utility>

#include "core/base/aligned_buffer.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"
#include "core/maintenance/device_source.h"

namespace dmcached {
namespace {

// Changes that one bit, so that whatever else a foreign writer keeps in block 0 stays.
absl::Status ClearNeedsCheck(BlockDevice& device) {
  AlignedBuffer block(kMetadataBlockBytes);
  const MetadataBlock location(kSuperblockLocation);
  DMCACHED_RETURN_IF_ERROR(device.Read(BlockOffsetBytes(location), block.span()));
  DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kSuperblock, location, block.span()));
  auto& disk = MutableDiskView<DiskSuperblock>(block.span());
  disk.flags.store(disk.flags.load() & ~kFlagNeedsCheck);
  SealBlock(BlockType::kSuperblock, location, block.span());
  DMCACHED_RETURN_IF_ERROR(device.Write(BlockOffsetBytes(location), block.span()));
  return device.Flush();
}

}  // namespace

absl::StatusOr<CheckOutcome> CheckPath(const DeviceOpener& opener, const PathCheck& check, CheckSink& sink) {
  DMCACHED_ASSIGN_OR_RETURN(const std::unique_ptr<BlockDevice> device, opener({.path = check.path,
                                                                               .read_only = !check.clear_needs_check,
                                                                               .exclusive = true,
                                                                               .cached = true,
                                                                               .allocate = false}));
  DeviceSource source(*device, check.interrupted);
  CheckOptions options;
  options.executor = check.executor;
  CheckOutcome outcome;
  absl::StatusOr<CheckSummary> summary = CheckMetadata(source, options, sink);
  if (!summary.ok()) return WithContext(summary.status(), check.path);
  outcome.summary = *summary;
  if (!check.clear_needs_check || !outcome.summary.sound() || !outcome.summary.needs_check) return outcome;
  DMCACHED_RETURN_IF_ERROR(source.Interrupted());
  DMCACHED_RETURN_IF_ERROR(ClearNeedsCheck(*device));
  outcome.needs_check_cleared = true;
  return outcome;
}

}  // namespace dmcached
