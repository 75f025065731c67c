// What becomes of an image with damage: who opens it, what they read, and whether the checker names the place.
#ifndef DMCACHED_TESTS_FAULT_DAMAGED_IMAGE_H_
#define DMCACHED_TESTS_FAULT_DAMAGED_IMAGE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "tests/support/alarms.h"
#include "tests/support/open_cache.h"

namespace dmcached {

inline absl::StatusOr<std::unique_ptr<CacheMetadata>> OpenImage(const std::vector<std::byte>& image, bool read_only) {
  OpenParams params;
  params.read_only = read_only;
  return CacheMetadata::Open(std::make_shared<MemoryDevice>(image), params, NewCounters());
}

// What opening shows; an error names a reason.
inline absl::StatusOr<CacheContents> ReadImage(const std::vector<std::byte>& image, bool read_only) {
  auto cache = OpenImage(image, read_only);
  if (!cache.ok()) return cache.status();
  return ReadContents(**cache);
}

// One that lists cblocks counts places, not blocks.
inline bool IsAbout(const Finding& finding, uint64_t block) {
  if (!finding.block.has_value()) return false;
  const uint64_t begin = finding.block->value();
  return block >= begin && block - begin < (finding.cblocks.has_value() ? 1 : finding.count);
}

inline bool Names(const Alarms& alarms, uint64_t block) {
  return std::any_of(alarms.findings().begin(), alarms.findings().end(),
                     [block](const Finding& finding) { return IsAbout(finding, block); });
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FAULT_DAMAGED_IMAGE_H_
