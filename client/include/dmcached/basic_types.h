// Values that several parts of the dmcached API share.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_BASIC_TYPES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_BASIC_TYPES_H_

#include <cstddef>
#include <cstdint>

namespace dmcached::client {

// Items in the columns of one message; more are refused with TOO_MANY_ITEMS.
inline constexpr size_t kMaxItemsPerMessage = 65536;

enum class DirtyTracking { kDefault, kExact, kConservative };
enum class CacheState { kUnknown, kOpen, kReadOnly, kFailed, kNeedsCheck, kOpening, kClosing };

struct PolicyVersion {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint32_t patch = 0;
  bool operator==(const PolicyVersion&) const = default;
};

// Half open: `end` is not part of it.
struct BlockRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  bool operator==(const BlockRange&) const = default;
};

struct Stats {  // 32 bits on disk; they wrap.
  uint32_t read_hits = 0;
  uint32_t read_misses = 0;
  uint32_t write_hits = 0;
  uint32_t write_misses = 0;
  bool operator==(const Stats&) const = default;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_BASIC_TYPES_H_
