// Regular files and block devices of the host.
#ifndef DMCACHED_CORE_DEVICE_FILE_DEVICE_H_
#define DMCACHED_CORE_DEVICE_FILE_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/device/block_device.h"
#include "core/device/device_request.h"

namespace dmcached {

// Opens the regular file or block device at `request.path` with one descriptor, which does every transfer and flush.
//
// Exclusive means O_EXCL for a block device (the kernel's own users and mounts conflict too) and flock for a file; both
// conflict with a second open in this process.  O_DIRECT is tried, and given up where the file system refuses it; not
// for a file that is opened `cached` and read-only.  All who write to a file go through its page cache or keep it true;
// that of a block device may hold what was there before a device-mapper target wrote, so it is never believed.
// The size is that of the moment of opening.  Everything is aligned to 4096 bytes under O_DIRECT, to 512 otherwise.
// `clock` outlives the device; null: transfers are not timed.
// Errors: kNotFound (DEVICE_NOT_FOUND: no such path, or neither file nor block device), kFailedPrecondition
// (DEVICE_IN_USE; READ_ONLY: not writable at all), kResourceExhausted (METADATA_NO_SPACE) ENOSPC, kInternal (IO_ERROR).
absl::StatusOr<std::unique_ptr<BlockDevice>> OpenFileDevice(const DeviceRequest& request, const Clock* clock);

}  // namespace dmcached

#endif  // DMCACHED_CORE_DEVICE_FILE_DEVICE_H_
