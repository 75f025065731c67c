// A mutation of core as the client library sends it.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_BATCH_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_BATCH_H_

#include <cstdint>
#include <vector>

#include "core/cache/mutation.h"
#include "dmcached/types.h"

namespace dmcached {

// The memory of its columns belongs to the mutation and to this object.
class BatchOf {
 public:
  // Of every mutation but Resize, which is a call of its own.
  explicit BatchOf(const Mutation& mutation);
  BatchOf(const BatchOf&) = delete;
  BatchOf& operator=(const BatchOf&) = delete;

  const client::Batch& batch() const { return batch_; }

 private:
  std::vector<uint8_t> dirty_;
  std::vector<client::BlockRange> ranges_;
  client::Batch batch_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_BATCH_H_
