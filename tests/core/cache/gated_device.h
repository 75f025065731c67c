// A device that lets a test act in the middle of a commit's writer.
#ifndef DMCACHED_TESTS_CORE_CACHE_GATED_DEVICE_H_
#define DMCACHED_TESTS_CORE_CACHE_GATED_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "core/device/block_device.h"

namespace dmcached {

// Where the writing of a commit stands.
enum class Moment { kNothingWritten, kBlocksWritten, kSuperblockWritten, kFlushed };

// Lets a test do something at one moment of the next commit, in the middle of its writer.
class Gate {
 public:
  void Arm(Moment moment, std::function<void()> reached) {
    moment_ = moment;
    reached_ = std::move(reached);
    flushes_ = 0;
  }
  bool armed() const { return reached_ != nullptr; }
  void BeforeWrite() {
    if (flushes_ == 0) Pass(Moment::kNothingWritten);
  }
  void BeforeFlush() { Pass(flushes_ == 0 ? Moment::kBlocksWritten : Moment::kSuperblockWritten); }
  void AfterFlush() {
    if (++flushes_ == 2) Pass(Moment::kFlushed);
  }

 private:
  void Pass(Moment moment) {
    if (armed() && moment == moment_) std::exchange(reached_, nullptr)();
  }

  Moment moment_ = Moment::kNothingWritten;
  std::function<void()> reached_;
  int flushes_ = 0;
};

class GatedDevice : public BlockDevice {
 public:
  GatedDevice(std::unique_ptr<BlockDevice> inner, Gate& gate)
      : BlockDevice(inner->name(), nullptr), inner_(std::move(inner)), gate_(gate) {}
  uint64_t size_bytes() const override { return inner_->size_bytes(); }
  size_t alignment_bytes() const override { return inner_->alignment_bytes(); }
  bool direct_io() const override { return inner_->direct_io(); }
  bool read_only() const override { return inner_->read_only(); }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    return inner_->ReadV(offset_bytes, buffers);
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    gate_.BeforeWrite();
    return inner_->WriteV(offset_bytes, buffers);
  }
  absl::Status DoFlush() override {
    gate_.BeforeFlush();
    absl::Status flushed = inner_->Flush();
    gate_.AfterFlush();
    return flushed;
  }

 private:
  const std::unique_ptr<BlockDevice> inner_;
  Gate& gate_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CORE_CACHE_GATED_DEVICE_H_
