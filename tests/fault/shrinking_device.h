// A block device that becomes smaller while it is open.
#ifndef DMCACHED_TESTS_FAULT_SHRINKING_DEVICE_H_
#define DMCACHED_TESTS_FAULT_SHRINKING_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/device/block_device.h"

namespace dmcached {

// When a device shrinks, and to what; shared by everybody who has it open.
struct Shrinking {
  uint64_t at_write = std::numeric_limits<uint64_t>::max();  // Before this write, from 0.
  uint64_t to_bytes = 0;
  uint64_t writes = 0;

  bool shrunk() const { return writes >= at_write; }
};

// One open of `device`.  It goes on with the size that it was opened with, as a descriptor does; of a transfer that
// crosses the new end only the part before it is done.  Then a read fails with EIO, a write with ENOSPC, as Linux says
// it of block devices.
class ShrinkingDevice : public BlockDevice {  // Not thread-safe.
 public:
  ShrinkingDevice(BlockDevice& device, Shrinking& shrinking);

  uint64_t size_bytes() const override { return size_bytes_; }
  size_t alignment_bytes() const override { return device_.alignment_bytes(); }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override;
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override;
  absl::Status DoFlush() override { return device_.Flush(); }

 private:
  uint64_t End() const { return shrinking_.shrunk() ? shrinking_.to_bytes : device_.size_bytes(); }

  BlockDevice& device_;
  Shrinking& shrinking_;
  const uint64_t size_bytes_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FAULT_SHRINKING_DEVICE_H_
