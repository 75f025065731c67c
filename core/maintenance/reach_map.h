// Which metadata blocks are reached from the superblock, and by what.  One byte per block: 4 MiB at most.
#ifndef DMCACHED_CORE_MAINTENANCE_REACH_MAP_H_
#define DMCACHED_CORE_MAINTENANCE_REACH_MAP_H_

#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/store/array_kind.h"

namespace dmcached {

enum class Referrer : uint8_t { kNone, kSuperblock, kSpaceMap, kOverflowTree, kMappings, kDirty, kDiscards, kHints };

inline Referrer ReferrerOf(ArrayKind kind) {
  return static_cast<Referrer>(static_cast<uint8_t>(Referrer::kMappings) + static_cast<uint8_t>(kind));
}
// "superblock", "space map", "mapping array", ...
const char* ReferrerName(Referrer referrer);

class ReachMap {  // Not thread-safe.
 public:
  enum class Claim { kFirst, kOutOfRange, kAgain };

  // Blocks from `blocks` on are out of range.
  explicit ReachMap(uint64_t blocks) : referrers_(blocks, Referrer::kNone) {}

  // Notes that `block` is reached, unless it was before.
  Claim Add(uint64_t block, Referrer referrer) {
    if (block >= referrers_.size()) return Claim::kOutOfRange;
    if (referrers_[block] != Referrer::kNone) return Claim::kAgain;
    referrers_[block] = referrer;
    ++reached_;
    return Claim::kFirst;
  }
  Referrer referrer(uint64_t block) const { return referrers_[block]; }
  uint64_t blocks() const { return referrers_.size(); }
  uint64_t reached() const { return reached_; }

 private:
  std::vector<Referrer> referrers_;
  uint64_t reached_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_REACH_MAP_H_
