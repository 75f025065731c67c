// A device in memory with a volatile cache, which fails and loses power where a test says.
#ifndef DMCACHED_TESTS_SUPPORT_FAULTY_DEVICE_H_
#define DMCACHED_TESTS_SUPPORT_FAULTY_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "core/base/aligned_buffer.h"
#include "core/base/mutex.h"
#include "core/device/block_device.h"
#include "tests/support/random.h"

namespace dmcached {

// Operations are numbered from 0, since the device was made, each kind by itself; a vectored transfer is one.
struct FaultOptions {
  // So many writes are taken; the next one is torn, and from then on everything fails.
  std::optional<uint64_t> power_cut_after = std::nullopt;
  // This flush does nothing, and from then on everything fails.
  std::optional<uint64_t> power_cut_at_flush = std::nullopt;
  // EIO.
  std::optional<uint64_t> fail_read = std::nullopt;
  // EIO; it may or may not reach the medium, in parts.
  std::optional<uint64_t> fail_write = std::nullopt;
  // ENOSPC; nothing is written.
  std::optional<uint64_t> no_space_write = std::nullopt;
  // EIO; the writes before it may be lost even if a later flush succeeds.
  std::optional<uint64_t> fail_flush = std::nullopt;
  // Blocks of 4096 bytes: every transfer that touches one fails with EIO.
  std::set<uint64_t> fail_read_blocks = {};
  std::set<uint64_t> fail_write_blocks = {};
};

// Reads see every accepted write; only flushed ones are sure to be in a crash image.
class FaultyDevice : public BlockDevice {
 public:
  explicit FaultyDevice(std::span<const std::byte> image, FaultOptions options = {}, const Clock* clock = nullptr);
  explicit FaultyDevice(uint64_t size_bytes, FaultOptions options = {}, const Clock* clock = nullptr);

  uint64_t size_bytes() const override { return current_.size(); }
  size_t alignment_bytes() const override { return AlignedBuffer::kAlignmentBytes; }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

  void SetFaults(FaultOptions options);

  uint64_t reads() const;
  uint64_t writes() const;
  uint64_t flushes() const;
  bool power_is_cut() const;

  // What the medium holds if power is lost now: each write that no flush covered is there whole, missing, or torn at
  // 512-byte sectors, as `seed` decides.  Seed 0: all are missing; seed 1: all are there.
  std::vector<std::byte> CrashImage(uint64_t seed) const;
  // What reads see.
  std::vector<std::byte> Image() const;

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override;
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override;
  absl::Status DoFlush() override;

 private:
  // An unflushed write.
  struct Pending {
    uint64_t offset_bytes;
    std::vector<std::byte> data;
    bool doubtful = false;         // It or its flush failed: it may be on the medium, and no flush makes it sure.
    std::vector<bool> superseded;  // By sector: a later write of it is durable.
  };

  void AddPending(uint64_t offset_bytes, std::vector<std::byte> data, bool doubtful)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MakeDurable() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void ApplyTorn(const Pending& write, Random& random, std::vector<std::byte>& image);
  bool TouchesBlock(const std::set<uint64_t>& blocks, uint64_t offset_bytes, uint64_t length_bytes) const;
  absl::Status Failure(const char* what) const;

  mutable Mutex mutex_;
  FaultOptions options_ ABSL_GUARDED_BY(mutex_);
  AlignedBuffer current_;  // The bytes are guarded by mutex_, the size never changes.
  std::vector<std::byte> durable_ ABSL_GUARDED_BY(mutex_);
  std::vector<Pending> pending_ ABSL_GUARDED_BY(mutex_);
  bool power_is_cut_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t reads_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t writes_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t flushes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_FAULTY_DEVICE_H_
