// A block device in memory.
#ifndef DMCACHED_CORE_DEVICE_MEMORY_DEVICE_H_
#define DMCACHED_CORE_DEVICE_MEMORY_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/base/aligned_buffer.h"
#include "core/base/mutex.h"
#include "core/device/block_device.h"

namespace dmcached {

// Loses nothing and never fails.  As strict about alignment as a device with O_DIRECT, so that a caller who forgets it
// is found in memory already.
class MemoryDevice : public BlockDevice {
 public:
  explicit MemoryDevice(uint64_t size_bytes, std::string name = "memory", const Clock* clock = nullptr,
                        bool read_only = false);
  // Holds a copy of `image`.
  explicit MemoryDevice(std::span<const std::byte> image, std::string name = "memory", const Clock* clock = nullptr,
                        bool read_only = false);

  uint64_t size_bytes() const override { return size_bytes_; }
  size_t alignment_bytes() const override { return AlignedBuffer::kAlignmentBytes; }
  bool direct_io() const override { return true; }
  bool read_only() const override { return read_only_; }

  // A copy of all bytes.
  std::vector<std::byte> Image() const;

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override;
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override;
  absl::Status DoFlush() override;

 private:
  const uint64_t size_bytes_;
  const bool read_only_;
  mutable Mutex mutex_;
  AlignedBuffer bytes_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_DEVICE_MEMORY_DEVICE_H_
