// Finds every oblock that is mapped more than once, in 6 bytes per mapping.
//
// Oblocks of an origin that is small, and not out of proportion to the mappings, are told by bits; all others are
// spread over parts.  Which cblocks they belong to is found by a second walk, which only a damaged image needs. Memory:
// at most that of OriginParts, and 2.5 MiB for the bits.
#ifndef DMCACHED_CORE_MAINTENANCE_DUPLICATE_ORIGINS_H_
#define DMCACHED_CORE_MAINTENANCE_DUPLICATE_ORIGINS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "core/base/executor.h"
#include "core/base/ids.h"
#include "core/base/status.h"
#include "core/maintenance/origin_bits.h"
#include "core/maintenance/origin_parts.h"

namespace dmcached {

class DuplicateOrigins {
 public:
  // `oblock_end`: where the origin is thought to end; `mappings`: at most so many are added; `lanes`: by so many
  // threads at once.
  DuplicateOrigins(uint64_t oblock_end, uint64_t mappings, size_t lanes)
      : bits_(FitsBits(oblock_end, mappings, lanes) ? oblock_end : 0, lanes), parts_(mappings, lanes) {}

  // Thread-safe, if each lane is used by one thread at a time.
  void Add(size_t lane, std::span<const Oblock> oblocks) {
    if (bits_.empty()) return parts_.Add(lane, oblocks);
    bits_.Add(lane, oblocks, [&](std::span<const Oblock> rest) { parts_.Add(lane, rest); });
  }

  // After the last Add.  `executor` (or null) helps.  Errors: those of `interrupted`, which is asked now and then.
  absl::Status Finish(Executor* executor, const std::function<absl::Status()>& interrupted) {
    any_ = bits_.Finish();
    DMCACHED_RETURN_IF_ERROR(parts_.Finish(executor, interrupted));
    any_ = any_ || !parts_.duplicates().empty();
    return absl::OkStatus();
  }

  // After Finish.  Thread-safe.
  bool any() const { return any_; }
  bool Contains(Oblock oblock) const {
    if (bits_.Covers(oblock)) return bits_.IsDuplicate(oblock);
    return std::binary_search(parts_.duplicates().begin(), parts_.duplicates().end(), PackedOblock(oblock.value()));
  }

  uint64_t memory_bytes() const { return bits_.memory_bytes() + parts_.memory_bytes(); }

 private:
  // For more, the parts are quicker: bits must stay in the processor's cache.
  static constexpr uint64_t kMaxBits = 4 << 20;

  static bool FitsBits(uint64_t oblock_end, uint64_t mappings, size_t lanes) {
    return oblock_end <= kMaxBits && oblock_end / 8 * (lanes + 1) <= mappings * sizeof(PackedOblock);
  }

  OriginBits bits_;
  OriginParts parts_;
  bool any_ = false;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_DUPLICATE_ORIGINS_H_
