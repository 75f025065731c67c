// Cblocks held in memory for callers who are copying into them: the fence between two users of a cblock.
//
// A holder stops writing before its ttl is over, so a cblock may be given to someone else once it is.  Whoever held a
// cblock before an open may still be writing for as long as the longest ttl: until then nothing is handed out.
// Source: core/README.md (reservations fence).
#ifndef DMCACHED_CORE_CACHE_RESERVATIONS_H_
#define DMCACHED_CORE_CACHE_RESERVATIONS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/base/clock.h"
#include "core/base/ids.h"

namespace dmcached {

class Reservations {  // Not thread-safe: guarded by the mutex of its cache.
 public:
  // Nothing is handed out before `until` (monotonic).
  void HoldOff(Duration until) { holdoff_until_ = until; }
  // Zero when reservations may be made.
  Duration HoldoffLeft(Duration now) const { return holdoff_until_ > now ? holdoff_until_ - now : Duration{0}; }

  // Holds `cblocks`, none of which is held, until `expires`.  `id` is new.
  void Add(uint64_t id, uint64_t incarnation, std::span<const uint32_t> cblocks, Duration expires);
  // Whether `id` was made in `incarnation` and is neither released nor over.  A reservation of an earlier incarnation
  // still keeps others away, but nothing can be inserted under it.
  bool IsValid(uint64_t id, uint64_t incarnation, Duration now) const;
  bool HeldBy(uint64_t id, Cblock cblock, Duration now) const;
  bool IsHeld(Cblock cblock, Duration now) const;
  // The cblocks are mapped now: they are held no longer.  A reservation that holds nothing any more is forgotten.
  void Consume(std::span<const uint32_t> cblocks);
  // Number of cblocks given up; nothing if `id` is unknown or over.
  std::optional<uint32_t> Release(uint64_t id, Duration now);
  // Forgets what is over.
  void Expire(Duration now);
  // A shrink: reservations of cblocks from `cache_blocks` on lose those.
  void DropFrom(Cblock cache_blocks);
  void DropAll();

  // Cblocks held, counting those whose time is over but that Expire has not yet met.
  size_t held() const { return holders_.size(); }

 private:
  struct Held {
    uint64_t incarnation = 0;
    Duration expires{0};
    std::vector<uint32_t> cblocks;  // Some may be consumed or dropped: holders_ decides.
    size_t left = 0;                // How many are not.
  };

  // `holder` of one cblock: the cblock is held no longer, and its reservation forgotten if it was the last one.
  void Drop(absl::flat_hash_map<uint32_t, uint64_t>::iterator holder);
  void Erase(absl::flat_hash_map<uint64_t, Held>::iterator reservation);

  Duration holdoff_until_{0};
  absl::flat_hash_map<uint64_t, Held> reservations_;
  absl::flat_hash_map<uint32_t, uint64_t> holders_;  // Cblock to reservation.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_RESERVATIONS_H_
