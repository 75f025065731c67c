#include "core/device/memory_device.h"

#include <algorithm>
#include <utility>

namespace dmcached {

MemoryDevice::MemoryDevice(uint64_t size_bytes, std::string name, const Clock* clock, bool read_only)
    : BlockDevice(std::move(name), clock), size_bytes_(size_bytes), read_only_(read_only), bytes_(size_bytes) {}

MemoryDevice::MemoryDevice(std::span<const std::byte> image, std::string name, const Clock* clock, bool read_only)
    : MemoryDevice(image.size(), std::move(name), clock, read_only) {
  std::copy(image.begin(), image.end(), bytes_.data());
}

std::vector<std::byte> MemoryDevice::Image() const {
  MutexLock lock(mutex_);
  return {bytes_.data(), bytes_.data() + bytes_.size()};
}

absl::Status MemoryDevice::DoReadV(uint64_t offset_bytes, ReadBuffers buffers) {
  MutexLock lock(mutex_);
  const std::byte* from = bytes_.data() + offset_bytes;
  for (std::span<std::byte> buffer : buffers) {
    std::copy_n(from, buffer.size(), buffer.data());
    from += buffer.size();
  }
  return absl::OkStatus();
}

absl::Status MemoryDevice::DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) {
  MutexLock lock(mutex_);
  std::byte* to = bytes_.data() + offset_bytes;
  for (std::span<const std::byte> buffer : buffers) {
    to = std::copy_n(buffer.data(), buffer.size(), to);
  }
  return absl::OkStatus();
}

absl::Status MemoryDevice::DoFlush() { return absl::OkStatus(); }

}  // namespace dmcached
