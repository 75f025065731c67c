#include "tests/crash/recording_device.h"

#include <utility>

namespace dmcached {

RecordingDevice::RecordingDevice(std::span<const std::byte> image)
    : BlockDevice("recording", nullptr), device_(std::make_unique<FaultyDevice>(image)) {}

void RecordingDevice::Freeze() {
  operations_left_.reset();
  if (frozen()) return;
  live_ = std::move(device_);
  device_ = std::make_unique<FaultyDevice>(live_->Image());
}

void RecordingDevice::Thaw() {
  operations_left_.reset();
  if (!frozen()) return;
  device_ = std::move(live_);
  device_->SetFaults({});
}

void RecordingDevice::CutPower(uint64_t seed) {
  FaultyDevice& medium = frozen() ? *live_ : *device_;
  IoEvent event{.kind = IoEvent::Kind::kPowerCut, .ok = true, .offset_bytes = 0, .data = medium.CrashImage(seed)};
  (frozen() ? live_ : device_) = std::make_unique<FaultyDevice>(event.data);
  if (observer_) observer_(event);
}

bool RecordingDevice::Begin() {
  if (before_io_) before_io_();
  if (frozen()) return false;
  if (operations_left_.has_value() && (*operations_left_)-- == 0) Freeze();
  return !frozen();
}

absl::Status RecordingDevice::DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) {
  if (!Begin()) return device_->WriteV(offset_bytes, buffers);
  IoEvent event{.kind = IoEvent::Kind::kWrite, .ok = true, .offset_bytes = offset_bytes, .data = {}};
  for (const std::span<const std::byte> buffer : buffers) {
    event.data.insert(event.data.end(), buffer.begin(), buffer.end());
  }
  const absl::Status written = device_->WriteV(offset_bytes, buffers);
  event.ok = written.ok();
  // A write that found no space left nothing behind.
  const bool nothing = absl::IsResourceExhausted(written);
  if (observer_ && !nothing) observer_(event);
  return written;
}

absl::Status RecordingDevice::DoFlush() {
  if (!Begin()) return device_->Flush();
  const absl::Status flushed = device_->Flush();
  if (observer_) {
    observer_({.kind = IoEvent::Kind::kFlush, .ok = flushed.ok(), .offset_bytes = 0, .data = {}});
  }
  return flushed;
}

}  // namespace dmcached
