// CRC-32C (Castagnoli), in hardware where the processor has it.
#ifndef DMCACHED_CORE_BASE_CRC32C_H_
#define DMCACHED_CORE_BASE_CRC32C_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace dmcached {

// The register after `bytes`, having begun at 0xFFFFFFFF, **without** the usual final inversion: dm-cache metadata
// stores it so.  Inverted it is the CRC-32C of everyone else ("123456789" gives 0xE3069283).  At most 2 GiB.
// Source: core/format/README.md, checksum.
uint32_t RawCrc32c(std::span<const std::byte> bytes);

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_CRC32C_H_
