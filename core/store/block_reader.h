// Reads array blocks straight from the device, for whoever walks a whole array.
#ifndef DMCACHED_CORE_STORE_BLOCK_READER_H_
#define DMCACHED_CORE_STORE_BLOCK_READER_H_

#include <cstdint>
#include <functional>
#include <span>

#include "absl/status/status.h"
#include "core/device/block_device.h"

namespace dmcached {

// Calls `visit(i, block)` for every location, in the order given; neighbours are read in one request.  Checksum and
// location are checked, the header is not.  `block` is valid during the call.
// Errors: kDataLoss EILSEQ, ENOTBLK; kInternal EIO; those of `visit`, which end the walk.
absl::Status ReadArrayBlocks(BlockDevice& device, std::span<const uint32_t> locations,
                             const std::function<absl::Status(size_t i, std::span<const std::byte> block)>& visit);

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_BLOCK_READER_H_
