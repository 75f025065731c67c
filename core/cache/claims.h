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
    for (const uint32_t cblock : cblocks_.subspan(given_up_, claimed_ - given_up_)) states_.GiveUp(cblock);
  }
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // The next cblock, which is in range; false if it was claimed before.
  bool ClaimNext() { return Count(states_.Claim(cblocks_[claimed_])); }
  // The same, but false also if it is not free.
  bool ClaimNextFree() { return Count(states_.ClaimFree(cblocks_[claimed_])); }
  // Gives up the first cblock that is still claimed: when it is changed, its bits are at hand.
  void GiveUpNext() { states_.GiveUp(cblocks_[given_up_++]); }

 private:
  bool Count(bool claimed) {
    claimed_ += claimed ? 1 : 0;
    return claimed;
  }

  BlockStates& states_;
  const std::span<const uint32_t> cblocks_;
  size_t claimed_ = 0;
  size_t given_up_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CLAIMS_H_
