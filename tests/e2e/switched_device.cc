#include "tests/e2e/switched_device.h"

#include <cerrno>
#include <cstddef>
#include <utility>

#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/device/file_device.h"

namespace dmcached {
namespace {

class SwitchedDevice : public BlockDevice {
 public:
  SwitchedDevice(std::unique_ptr<BlockDevice> file, std::shared_ptr<DeviceSwitch> device_switch)
      : BlockDevice(file->name(), nullptr), file_(std::move(file)), switch_(std::move(device_switch)) {}

  uint64_t size_bytes() const override { return file_->size_bytes(); }
  size_t alignment_bytes() const override { return file_->alignment_bytes(); }
  bool direct_io() const override { return file_->direct_io(); }
  bool read_only() const override { return file_->read_only(); }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    switch_->PassGate(Transfer::kRead);
    if (switch_->fail_reads) return MakeError(Reason::kIoError, "read failed by the test");
    DMCACHED_RETURN_IF_ERROR(file_->ReadV(offset_bytes, buffers));
    if (switch_->damage_reads) Damage(buffers);
    return absl::OkStatus();
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    switch_->PassGate(Transfer::kWrite);
    if (switch_->fail_writes) return MakeError(Reason::kIoError, "write failed by the test");
    if (switch_->no_space) return MakeError(Reason::kMetadataNoSpace, "no space, says the test", ENOSPC);
    return file_->WriteV(offset_bytes, buffers);
  }
  absl::Status DoFlush() override {
    switch_->PassGate(Transfer::kFlush);
    if (switch_->good_flushes-- <= 0) return MakeError(Reason::kIoError, "flush failed by the test");
    return file_->Flush();
  }

 private:
  static void Damage(ReadBuffers buffers) {
    constexpr size_t kDamagedByte = 100;  // Of each block.
    for (const auto buffer : buffers) {
      for (size_t at = kDamagedByte; at < buffer.size(); at += kMetadataBlockBytes) buffer[at] ^= std::byte{1};
    }
  }

  const std::unique_ptr<BlockDevice> file_;
  const std::shared_ptr<DeviceSwitch> switch_;
};

}  // namespace

void DeviceSwitch::Hold(Transfer which) {
  MutexLock lock(mutex_);
  held_ = which;
}

void DeviceSwitch::Release() {
  MutexLock lock(mutex_);
  held_.reset();
  changed_.NotifyAll();
}

void DeviceSwitch::AwaitHeld() {
  MutexLock lock(mutex_);
  while (waiting_ == 0) changed_.Wait(mutex_);
}

void DeviceSwitch::PassGate(Transfer transfer) {
  MutexLock lock(mutex_);
  if (held_ != transfer) return;
  ++waiting_;
  changed_.NotifyAll();
  while (held_ == transfer) changed_.Wait(mutex_);
  --waiting_;
}

DeviceOpener OpenSwitched(std::shared_ptr<DeviceSwitch> device_switch) {
  return [device_switch =
              std::move(device_switch)](const DeviceRequest& request) -> absl::StatusOr<std::unique_ptr<BlockDevice>> {
    DMCACHED_ASSIGN_OR_RETURN(std::unique_ptr<BlockDevice> file, OpenFileDevice(request, nullptr));
    return std::make_unique<SwitchedDevice>(std::move(file), device_switch);
  };
}

}  // namespace dmcached
