// Plain values of the dmcached API: what the rpcs take and give, without a gRPC or protobuf type.
//
// Numbers: a cblock is the index of a cache block on the fast device, an oblock that of an origin block of the same
// size, a dblock that of a discard block.  A sector is 512 bytes, a metadata block 4096 bytes.
// Source of every meaning: proto/dmcached/v1.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_TYPES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_TYPES_H_

#include "dmcached/basic_types.h"
#include "dmcached/cache_types.h"
#include "dmcached/mutation_types.h"

namespace dmcached::client {

struct ResizeResult {
  MutationResult result = {};
  Cache cache = {};
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_TYPES_H_
