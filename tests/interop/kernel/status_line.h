// What `dmsetup status` says of a cache.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_STATUS_LINE_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_STATUS_LINE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dmcached {

struct StatusLine {
  uint32_t mapped = 0;
  uint32_t cache_blocks = 0;
  uint32_t dirty = 0;
  bool writable = false;
  bool needs_check = false;
};

// Of cache `cache` at `when`, which guest.sh named so; nothing if there is none, or if the cache has failed.
std::optional<StatusLine> FindStatus(const std::vector<std::string>& lines, uint32_t cache, const std::string& when);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_STATUS_LINE_H_
