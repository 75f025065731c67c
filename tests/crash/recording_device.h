// A FaultyDevice that writes down what reaches it, and that outlives the process under test.
#ifndef DMCACHED_TESTS_CRASH_RECORDING_DEVICE_H_
#define DMCACHED_TESTS_CRASH_RECORDING_DEVICE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/device/block_device.h"
#include "tests/support/faulty_device.h"

namespace dmcached {

// One write or flush; or a power cut, after which the medium is `data`.
struct IoEvent {
  enum class Kind { kWrite, kFlush, kPowerCut };
  Kind kind = Kind::kWrite;
  bool ok = true;
  uint64_t offset_bytes = 0;
  std::vector<std::byte> data;
};

class RecordingDevice : public BlockDevice {  // Not thread-safe.
 public:
  explicit RecordingDevice(std::span<const std::byte> image);

  uint64_t size_bytes() const override { return device_->size_bytes(); }
  size_t alignment_bytes() const override { return device_->alignment_bytes(); }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

  // Told of every write and flush once it has been done.
  void set_observer(std::function<void(const IoEvent&)> observer) { observer_ = std::move(observer); }
  // Called before every write and flush.
  void set_before_io(std::function<void()> before_io) { before_io_ = std::move(before_io); }

  // The process dies once it has done so many more writes and flushes.  What it does from then on goes to a copy, is
  // not told to anyone, and is forgotten by Thaw.
  void FreezeAfter(uint64_t operations) { operations_left_ = operations; }
  void Freeze();
  void StayAlive() { operations_left_.reset(); }
  bool frozen() const { return live_ != nullptr; }
  void Thaw();

  // Power is lost: of what is not flushed, `seed` decides what survives (FaultyDevice::CrashImage).
  void CutPower(uint64_t seed);
  // One of the next writes, or flushes, fails.
  void FailWrite(uint64_t after) { device_->SetFaults({.fail_write = device_->writes() + after}); }
  void FailWriteForSpace(uint64_t after) { device_->SetFaults({.no_space_write = device_->writes() + after}); }
  void FailFlush(uint64_t after) { device_->SetFaults({.fail_flush = device_->flushes() + after}); }
  void ClearFaults() { device_->SetFaults({}); }

  std::vector<std::byte> Image() const { return device_->Image(); }
  std::vector<std::byte> CrashImage(uint64_t seed) const { return device_->CrashImage(seed); }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    return device_->ReadV(offset_bytes, buffers);
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override;
  absl::Status DoFlush() override;

 private:
  // Whether the operation that comes now is still one of the living process.
  bool Begin();

  std::unique_ptr<FaultyDevice> device_;
  std::unique_ptr<FaultyDevice> live_;  // While frozen: what the dead process left.
  std::optional<uint64_t> operations_left_;
  std::function<void(const IoEvent&)> observer_;
  std::function<void()> before_io_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_RECORDING_DEVICE_H_
