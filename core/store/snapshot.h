// The last durable state, held for readers: where each of its array blocks is, and which blocks it uses.
//
// The blocks of a snapshot are not reused while it lives, so it is read straight from the device, without the cache's
// mutex.  When space runs short the store revokes the oldest one: then its blocks may change under the reader, who
// therefore looks at `revoked()` after every read.
#ifndef DMCACHED_CORE_STORE_SNAPSHOT_H_
#define DMCACHED_CORE_STORE_SNAPSHOT_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "core/format/superblock.h"
#include "core/store/array_kind.h"

namespace dmcached {

class Snapshot {  // Immutable but for the revocation; thread-safe.
 public:
  Snapshot(uint64_t transaction, Superblock superblock, std::array<std::vector<uint32_t>, kArrayKinds> directories,
           std::vector<uint64_t> used)
      : transaction_(transaction),
        superblock_(std::move(superblock)),
        directories_(std::move(directories)),
        used_(std::move(used)) {}

  uint64_t transaction() const { return transaction_; }
  const Superblock& superblock() const { return superblock_; }
  // Locations of the array's blocks, in order; empty for an array that does not exist.
  const std::vector<uint32_t>& directory(ArrayKind kind) const { return directories_[static_cast<size_t>(kind)]; }
  // One bit per metadata block.
  const std::vector<uint64_t>& used() const { return used_; }

  void Revoke() { revoked_.store(true, std::memory_order_seq_cst); }
  bool revoked() const { return revoked_.load(std::memory_order_seq_cst); }

 private:
  const uint64_t transaction_;
  const Superblock superblock_;
  const std::array<std::vector<uint32_t>, kArrayKinds> directories_;
  const std::vector<uint64_t> used_;
  std::atomic<bool> revoked_{false};
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_SNAPSHOT_H_
