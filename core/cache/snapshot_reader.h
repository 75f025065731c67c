// Reads one durable state straight from the device, while the cache goes on without it.
//
// The blocks of a snapshot stay as they are until it is revoked; then they may change under the reader, so what was
// read is thrown away if the snapshot is found revoked afterwards.
#ifndef DMCACHED_CORE_CACHE_SNAPSHOT_READER_H_
#define DMCACHED_CORE_CACHE_SNAPSHOT_READER_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/cache/cache_snapshot.h"
#include "core/device/block_device.h"
#include "core/store/snapshot.h"

namespace dmcached {

inline constexpr Duration kSnapshotIdleTime = std::chrono::seconds(60);

class SnapshotReader : public CacheSnapshot {  // Thread-safe.
 public:
  struct Source {
    std::shared_ptr<BlockDevice> device;
    std::shared_ptr<const Snapshot> snapshot;
    uint64_t incarnation = 0;
    bool assume_all_dirty = false;                       // Unclean and read-only: no dirty bit, hint or discard counts.
    std::function<void(const absl::Status&)> on_damage;  // Told of blocks that fail their check.
  };
  // `clock` outlives the reader.
  SnapshotReader(Source source, const Clock& clock);

  absl::StatusOr<MappingPage> ReadMappings(const MappingFilter& filter, Cblock from, size_t max_items) override;
  absl::StatusOr<DiscardPage> ReadDiscards(Dblock from, size_t max_items) override;
  absl::StatusOr<HintPage> ReadHints(const std::optional<HintPolicy>& policy, Cblock from, size_t max_items) override;

  absl::Status ReadRaw(MetadataBlock first, std::span<std::byte> buffer) override;
  absl::Status CheckUsable() const override;
  const Superblock& superblock() const override { return superblock_; }
  uint64_t device_blocks() const override { return device_blocks_; }

  uint64_t transaction() const override { return transaction_; }
  uint64_t incarnation() const override { return incarnation_; }
  Sectors discard_block_size() const override { return superblock_.discard_block_size; }

  // Ends the reader: waits for the reads under way, then lets go of device and snapshot.
  void Detach();
  // Ends it if nobody has read for 60 s.  Never waits.
  void DetachIfIdle();
  // Never waits: false while a page is being read.
  bool revoked() const;

 private:
  // Blocks [first, first + count) of an array, copied one behind the other; short if the array is.
  absl::StatusOr<std::vector<std::byte>> ReadBlocks(ArrayKind kind, uint64_t first, uint64_t count)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells on_damage of damage; returns `status`.
  absl::Status Damaged(const absl::Status& status) const;
  absl::Status CheckHeld() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HintsValid(const std::optional<HintPolicy>& policy) const;

  struct Run;  // Mapping blocks with the dirty bits and hints of their entries.
  absl::StatusOr<Run> ReadRun(Cblock from, uint64_t end, uint64_t max_blocks, bool dirty, bool hints)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  const Superblock superblock_;
  const uint64_t device_blocks_;
  const uint64_t transaction_;
  const uint64_t incarnation_;
  const bool assume_all_dirty_;
  const std::function<void(const absl::Status&)> on_damage_;

  mutable Mutex mutex_;
  std::shared_ptr<BlockDevice> device_ ABSL_GUARDED_BY(mutex_);  // Null: detached.
  std::shared_ptr<const Snapshot> snapshot_ ABSL_GUARDED_BY(mutex_);
  Duration last_read_ ABSL_GUARDED_BY(mutex_);
  size_t raw_reads_ ABSL_GUARDED_BY(mutex_) = 0;  // Under way, without the mutex.
  CondVar raw_reads_done_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_SNAPSHOT_READER_H_
