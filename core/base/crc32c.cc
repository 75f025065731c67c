#include "core/base/crc32c.h"

#include <isa-l/crc.h>

#include <climits>

#include "core/base/check.h"

namespace dmcached {

uint32_t RawCrc32c(std::span<const std::byte> bytes) {
  DMCACHED_CHECK(bytes.size() <= INT_MAX);
  // ISA-L takes a non-const pointer but only reads.  It chooses its instructions at run time (CPUID; HWCAP on arm64).
  auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
  return crc32_iscsi(data, static_cast<int>(bytes.size()), 0xFFFFFFFFu);
}

}  // namespace dmcached
