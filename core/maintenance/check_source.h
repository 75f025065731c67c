// What a check reads: a device, or the durable state of an open cache.
#ifndef DMCACHED_CORE_MAINTENANCE_CHECK_SOURCE_H_
#define DMCACHED_CORE_MAINTENANCE_CHECK_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "core/base/ids.h"

namespace dmcached {

class CheckSource {  // Thread-safe.
 public:
  virtual ~CheckSource() = default;

  // Blocks of the device.
  virtual uint64_t blocks() const = 0;
  // Fills `buffer` (whole blocks, aligned) from block `first` on.  Errors: kInternal EIO.
  virtual absl::Status Read(MetadataBlock first, std::span<std::byte> buffer) = 0;
  // Asked after every read, before its bytes are believed: an error (cancelled, SNAPSHOT_REVOKED) ends the check.
  virtual absl::Status Interrupted() const = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_CHECK_SOURCE_H_
