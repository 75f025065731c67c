#include "tests/support/open_cache.h"

#include <algorithm>
#include <cstddef>

#include "core/base/status.h"

namespace dmcached {

absl::StatusOr<CacheContents> ReadContents(CacheMetadata& cache) {
  const Superblock& superblock = cache.superblock();
  CacheContents contents = {.version = superblock.version,
                            .clean_shutdown = cache.store().durable_superblock().clean_shutdown,
                            .needs_check = superblock.needs_check,
                            .data_block_size = static_cast<uint32_t>(superblock.data_block_size.value()),
                            .cache_blocks = cache.cache_blocks(),
                            .mappings = {},
                            .hints = std::nullopt,
                            .discard_block_size = superblock.discard_block_size.value(),
                            .discards = {},
                            .policy_name = superblock.policy_name,
                            .policy_version = superblock.policy_version,
                            .policy_hint_size = superblock.policy_hint_size,
                            .stats = cache.stats()};
  if (cache.hints_valid()) contents.hints.emplace(cache.cache_blocks());
  DMCACHED_RETURN_IF_ERROR(
      cache.LoadMappings(std::nullopt, superblock.policy_hint_size, [&](const LoadedMapping& mapping) {
        contents.mappings[mapping.cblock.value()] = {.oblock = mapping.oblock.value(), .dirty = mapping.dirty};
        if (mapping.hint_valid) (*contents.hints)[mapping.cblock.value()] = mapping.hint;
        return absl::OkStatus();
      }));
  contents.discards.resize(superblock.discard_blocks);
  DMCACHED_RETURN_IF_ERROR(cache.LoadDiscards([&](const DblockRange& range) {
    std::fill(contents.discards.begin() + static_cast<std::ptrdiff_t>(range.begin.value()),
              contents.discards.begin() + static_cast<std::ptrdiff_t>(range.end.value()), true);
    return absl::OkStatus();
  }));
  return contents;
}

}  // namespace dmcached
