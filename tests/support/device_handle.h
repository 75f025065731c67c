// What an opener gets of a device that outlives it: its own counters, the same bytes.
#ifndef DMCACHED_TESTS_SUPPORT_DEVICE_HANDLE_H_
#define DMCACHED_TESTS_SUPPORT_DEVICE_HANDLE_H_

#include <cstddef>
#include <cstdint>

#include "core/device/block_device.h"

namespace dmcached {

class DeviceHandle : public BlockDevice {  // Thread-safe if the device is.
 public:
  explicit DeviceHandle(BlockDevice& device) : BlockDevice(device.name(), nullptr), device_(device) {}

  uint64_t size_bytes() const override { return device_.size_bytes(); }
  size_t alignment_bytes() const override { return device_.alignment_bytes(); }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    return device_.ReadV(offset_bytes, buffers);
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    return device_.WriteV(offset_bytes, buffers);
  }
  absl::Status DoFlush() override { return device_.Flush(); }

 private:
  BlockDevice& device_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_DEVICE_HANDLE_H_
