// How a device is asked for, so that who opens devices can be chosen by whoever builds the engine.
#ifndef DMCACHED_CORE_DEVICE_DEVICE_REQUEST_H_
#define DMCACHED_CORE_DEVICE_DEVICE_REQUEST_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/device/block_device.h"

namespace dmcached {

struct DeviceRequest {
  std::string path;
  bool read_only = false;
  bool exclusive = true;  // Locked against every other opener of this kind, in this process too.
  bool cached = false;    // A regular file that is only read may be read through the page cache.
  bool allocate = false;  // All space of a file is really allocated; means nothing for block devices.
};

// Opens a device.  Errors: kNotFound (DEVICE_NOT_FOUND), kFailedPrecondition (DEVICE_IN_USE; READ_ONLY EROFS),
// kResourceExhausted (METADATA_NO_SPACE) ENOSPC, kInternal (IO_ERROR).
using DeviceOpener = std::function<absl::StatusOr<std::unique_ptr<BlockDevice>>(const DeviceRequest&)>;

}  // namespace dmcached

#endif  // DMCACHED_CORE_DEVICE_DEVICE_REQUEST_H_
