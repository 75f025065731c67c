// A device that nobody changes meanwhile, as the source of a check.
#ifndef DMCACHED_CORE_MAINTENANCE_DEVICE_SOURCE_H_
#define DMCACHED_CORE_MAINTENANCE_DEVICE_SOURCE_H_

#include <functional>
#include <utility>

#include "core/device/block_device.h"
#include "core/maintenance/check_source.h"

namespace dmcached {

class DeviceSource : public CheckSource {  // Thread-safe.
 public:
  // `device` outlives the source; `interrupted` (or null) is what Interrupted answers.
  explicit DeviceSource(BlockDevice& device, std::function<absl::Status()> interrupted = nullptr)
      : device_(device), interrupted_(std::move(interrupted)) {}

  uint64_t blocks() const override { return device_.size_bytes() / kMetadataBlockBytes; }
  absl::Status Read(MetadataBlock first, std::span<std::byte> buffer) override {
    return device_.Read(BlockOffsetBytes(first), buffer);
  }
  absl::Status Interrupted() const override { return interrupted_ == nullptr ? absl::OkStatus() : interrupted_(); }

 private:
  BlockDevice& device_;
  const std::function<absl::Status()> interrupted_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_DEVICE_SOURCE_H_
