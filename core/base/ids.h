// Numbers of the field that must not mix: explicit in, `.value()` out, no arithmetic across kinds.
#ifndef DMCACHED_CORE_BASE_IDS_H_
#define DMCACHED_CORE_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <utility>

namespace dmcached {

// An integer with a meaning.  Compares and converts explicitly; arithmetic goes through value().
template <typename Tag, typename Integer>
class StrongNumber {
 public:
  using ValueType = Integer;

  constexpr StrongNumber() = default;
  constexpr explicit StrongNumber(Integer value) : value_(value) {}

  constexpr Integer value() const { return value_; }
  constexpr auto operator<=>(const StrongNumber&) const = default;

  template <typename H>
  friend H AbslHashValue(H h, const StrongNumber& n) {
    return H::combine(std::move(h), n.value_);
  }

 private:
  Integer value_ = 0;
};

using Cblock = StrongNumber<struct CblockTag, uint32_t>;                // Block index on the cache device.
using Oblock = StrongNumber<struct OblockTag, uint64_t>;                // Same size, on the origin device.
using Dblock = StrongNumber<struct DblockTag, uint64_t>;                // Discard block, own size.
using MetadataBlock = StrongNumber<struct MetadataBlockTag, uint64_t>;  // 4096-byte metadata block.
using Sectors = StrongNumber<struct SectorsTag, uint64_t>;              // 512-byte units, a length.

inline constexpr uint64_t kSectorBytes = 512;
inline constexpr uint64_t kMetadataBlockBytes = 4096;

constexpr uint64_t BlockOffsetBytes(MetadataBlock block) { return block.value() * kMetadataBlockBytes; }
constexpr uint64_t CeilDiv(uint64_t dividend, uint64_t divisor) {
  return dividend / divisor + (dividend % divisor != 0 ? 1 : 0);
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_IDS_H_
