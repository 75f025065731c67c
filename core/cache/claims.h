// The cblocks of one request, claimed one after the other while it is checked, so that one named twice is found.
#ifndef DMCACHED_CORE_CACHE_CLAIMS_H_
#define DMCACHED_CORE_CACHE_CLAIMS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/block_states.h"

namespace dmcached {

class Claims {  // Not thread-safe; one at a time.
 public:
  Claims(BlockStates& states, std::span<const uint32_t> cblocks) : states_(states), cblocks_(cblocks) {}
  ~Claims() { states_.GiveUp(cblocks_.first(claimed_)); }
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;

  // The next cblock, which is in range.  Errors: kInvalidArgument (INVALID_REQUEST): it was named before.
  absl::Status ClaimNext() {
    const uint32_t cblock = cblocks_[claimed_];
    if (!states_.Claim(cblock)) {
      return MakeItemError(Reason::kInvalidRequest, claimed_,
                           absl::StrCat("item ", claimed_, ": cblock ", cblock, " is twice in the request"));
    }
    ++claimed_;
    return absl::OkStatus();
  }

 private:
  BlockStates& states_;
  const std::span<const uint32_t> cblocks_;
  size_t claimed_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CLAIMS_H_
