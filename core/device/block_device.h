// Bytes on a file, a block device, or in memory.
//
// A transfer is whole or an error.  Writes are volatile until Flush, which covers every earlier write.  After a failed
// flush nothing is known about the writes before it: the caller drops what it holds and opens again.
#ifndef DMCACHED_CORE_DEVICE_BLOCK_DEVICE_H_
#define DMCACHED_CORE_DEVICE_BLOCK_DEVICE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "core/base/clock.h"
#include "core/base/histogram.h"

namespace dmcached {

enum class DeviceOp { kRead = 0, kWrite = 1, kFlush = 2, kDiscard = 3 };
inline constexpr size_t kDeviceOps = 4;

// What was done to a device since it was opened.  Any thread may read it.
struct DeviceStats {
  struct PerOp {
    LatencyHistogram seconds{kLatencyBoundsSeconds};
    std::atomic<uint64_t> bytes{0};
    std::atomic<uint64_t> errors{0};
  };
  std::array<PerOp, kDeviceOps> ops;

  PerOp& op(DeviceOp op) { return ops[static_cast<size_t>(op)]; }
  const PerOp& op(DeviceOp op) const { return ops[static_cast<size_t>(op)]; }
};

// One piece of a vectored transfer at consecutive offsets.
using ReadBuffers = std::span<const std::span<std::byte>>;
using WriteBuffers = std::span<const std::span<const std::byte>>;

class BlockDevice {  // Thread-safe.
 public:
  // `name` (a path) is for messages; `clock` times the operations and outlives the device; null: not timed.
  BlockDevice(std::string name, const Clock* clock) : name_(std::move(name)), clock_(clock) {}
  virtual ~BlockDevice() = default;
  BlockDevice(const BlockDevice&) = delete;
  BlockDevice& operator=(const BlockDevice&) = delete;

  const std::string& name() const { return name_; }
  virtual uint64_t size_bytes() const = 0;
  // Offsets, lengths and memory addresses of every buffer are multiples of this (a power of two, at most 4096).
  virtual size_t alignment_bytes() const = 0;
  // Whether transfers bypass the page cache.
  virtual bool direct_io() const = 0;
  virtual bool read_only() const = 0;

  // Fills the buffers, in order, from `offset_bytes` on.  Errors: kInternal (IO_ERROR) with EIO or what the system
  // said, ERANGE (beyond the end); kInvalidArgument (INVALID_REQUEST: alignment).
  absl::Status ReadV(uint64_t offset_bytes, ReadBuffers buffers);
  absl::Status Read(uint64_t offset_bytes, std::span<std::byte> buffer);
  // Errors: as ReadV; kFailedPrecondition (READ_ONLY) EROFS; kResourceExhausted (METADATA_NO_SPACE) ENOSPC.
  absl::Status WriteV(uint64_t offset_bytes, WriteBuffers buffers);
  absl::Status Write(uint64_t offset_bytes, std::span<const std::byte> buffer);
  // Makes every earlier write durable.  Errors: kInternal (IO_ERROR); kFailedPrecondition (READ_ONLY) EROFS.
  absl::Status Flush();

  const DeviceStats& stats() const { return *stats_; }
  // For whoever reads them without keeping the device open.
  std::shared_ptr<const DeviceStats> shared_stats() const { return stats_; }

 protected:
  // Bounds and alignment are checked already.
  virtual absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) = 0;
  virtual absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) = 0;
  virtual absl::Status DoFlush() = 0;

 private:
  template <typename Buffers>
  absl::Status CheckTransfer(const char* verb, uint64_t offset_bytes, Buffers buffers) const;
  // Runs one operation and counts it.
  template <typename Operation>
  absl::Status Counted(DeviceOp op, uint64_t bytes, Operation operation);

  const std::string name_;
  const Clock* const clock_;
  const std::shared_ptr<DeviceStats> stats_ = std::make_shared<DeviceStats>();
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_DEVICE_BLOCK_DEVICE_H_
