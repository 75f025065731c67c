// Checks block 0 by itself.
//
// Source: core/format/README.md, superblock.
#ifndef DMCACHED_CORE_MAINTENANCE_SUPERBLOCK_CHECK_H_
#define DMCACHED_CORE_MAINTENANCE_SUPERBLOCK_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "core/format/superblock.h"
#include "core/maintenance/finding_collector.h"

namespace dmcached {

// The superblock, if the arrays can be walked from it; what is wrong with it goes to `findings`.
std::optional<Superblock> CheckSuperblockBytes(std::span<const std::byte> block, FindingCollector& findings);

// What the fields say together.  `device_blocks`: blocks of the device.  Returns the number of blocks that pointers may
// name.
uint64_t CheckSuperblockFields(const Superblock& superblock, uint64_t device_blocks, FindingCollector& findings);

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_SUPERBLOCK_CHECK_H_
