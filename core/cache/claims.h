// The cblocks of one request, claimed one after the other while it is checked, so that one named twice is found.
#ifndef DMCACHED_CORE_CACHE_CLAIMS_H_
#define DMCACHED_CORE_CACHE_CLAIMS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/cache/block_states.h"

namespace dmcached {

class Claims {  // Not thread-safe; one at a time.
 public:
  Claims(BlockStates& states, std::span<const uint32_t> cblocks) : states_(states), cblocks_(cblocks) {}
  ~Claims() {
    for (const uint32_t cblock : cblocks_.first(claimed_)) states_.GiveUp(cblock);
  }
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // The next cblock, which is in range; false if it was claimed before.
  bool ClaimNext() { return Count(states_.Claim(cblocks_[claimed_])); }
  // The same, but false also if it is not free.
  bool ClaimNextFree() { return Count(states_.ClaimFree(cblocks_[claimed_])); }
  // Every cblock is mapped now, which ended its claim.
  void Mapped() { claimed_ = 0; }

 private:
  bool Count(bool claimed) {
    claimed_ += claimed ? 1 : 0;
    return claimed;
  }

  BlockStates& states_;
  const std::span<const uint32_t> cblocks_;
  size_t claimed_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CLAIMS_H_
