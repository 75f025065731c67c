#include "core/device/block_device.h"

#include <cerrno>
#include <chrono>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

template <typename Buffers>
uint64_t TotalBytes(Buffers buffers) {
  uint64_t total = 0;
  for (const auto& buffer : buffers) total += buffer.size();
  return total;
}

}  // namespace

template <typename Buffers>
absl::Status BlockDevice::CheckTransfer(const char* verb, uint64_t offset_bytes, Buffers buffers) const {
  const uint64_t length = TotalBytes(buffers);
  if (length > size_bytes() || offset_bytes > size_bytes() - length) {
    return MakeError(Reason::kIoError,
                     absl::StrCat(name_, ": ", verb, " of ", length, " bytes at ", offset_bytes,
                                  " ends beyond the device's ", size_bytes(), " bytes"),
                     ERANGE);
  }
  const size_t alignment = alignment_bytes();
  bool aligned = offset_bytes % alignment == 0;
  for (const auto& buffer : buffers) {
    aligned = aligned && buffer.size() % alignment == 0 && reinterpret_cast<uintptr_t>(buffer.data()) % alignment == 0;
  }
  if (!aligned) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat(name_, ": ", verb, " of ", length, " bytes at ",
                                                           offset_bytes, " is not aligned to ", alignment, " bytes"));
  }
  return absl::OkStatus();
}

template <typename Operation>
absl::Status BlockDevice::Counted(DeviceOp op, uint64_t bytes, Operation operation) {
  DeviceStats::PerOp& stats = stats_->op(op);
  const Duration begin = clock_ == nullptr ? Duration{} : clock_->Monotonic();
  absl::Status status = operation();
  if (clock_ != nullptr) {
    stats.seconds.Observe(std::chrono::duration<double>(clock_->Monotonic() - begin).count());
  }
  if (status.ok()) {
    stats.bytes.fetch_add(bytes, std::memory_order_relaxed);
  } else {
    stats.errors.fetch_add(1, std::memory_order_relaxed);
  }
  return status;
}

absl::Status BlockDevice::ReadV(uint64_t offset_bytes, ReadBuffers buffers) {
  return Counted(DeviceOp::kRead, TotalBytes(buffers), [&]() -> absl::Status {
    DMCACHED_RETURN_IF_ERROR(CheckTransfer("read", offset_bytes, buffers));
    return DoReadV(offset_bytes, buffers);
  });
}

absl::Status BlockDevice::Read(uint64_t offset_bytes, std::span<std::byte> buffer) {
  return ReadV(offset_bytes, {&buffer, 1});
}

absl::Status BlockDevice::WriteV(uint64_t offset_bytes, WriteBuffers buffers) {
  return Counted(DeviceOp::kWrite, TotalBytes(buffers), [&]() -> absl::Status {
    if (read_only()) return MakeError(Reason::kReadOnly, absl::StrCat(name_, ": write, but opened read-only"));
    DMCACHED_RETURN_IF_ERROR(CheckTransfer("write", offset_bytes, buffers));
    return DoWriteV(offset_bytes, buffers);
  });
}

absl::Status BlockDevice::Write(uint64_t offset_bytes, std::span<const std::byte> buffer) {
  return WriteV(offset_bytes, {&buffer, 1});
}

absl::Status BlockDevice::Flush() {
  return Counted(DeviceOp::kFlush, 0, [&]() -> absl::Status {
    if (read_only()) return MakeError(Reason::kReadOnly, absl::StrCat(name_, ": flush, but opened read-only"));
    return DoFlush();
  });
}

}  // namespace dmcached
