// Memory for the frames of one block cache: blocks of 4096 bytes, cut from chunks of 2 MiB.
//
// A general allocator spends a page of its own on each aligned block; a chunk spends nothing, and from the second on
// lies in a huge page, so that a random access to a large cache needs no walk through page tables.
#ifndef DMCACHED_CORE_STORE_FRAME_POOL_H_
#define DMCACHED_CORE_STORE_FRAME_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "core/base/huge_memory.h"
#include "core/base/mutex.h"

namespace dmcached {

class FramePool {  // Thread-safe.
 public:
  FramePool() = default;
  // Every block has been given back.
  ~FramePool();
  FramePool(const FramePool&) = delete;
  FramePool& operator=(const FramePool&) = delete;

  // 4096 bytes at a multiple of 4096, with any contents.  Dies when memory runs out.
  std::byte* Take();
  void GiveBack(std::byte* block);

 private:
  struct Chunk {
    HugeMemory memory;
    std::vector<uint32_t> free;  // Offsets in bytes.
    size_t position = 0;         // In `open_`, while anything is free.
  };

  Chunk& NewChunk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Close(Chunk& chunk) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::unordered_map<uintptr_t, std::unique_ptr<Chunk>> chunks_ ABSL_GUARDED_BY(mutex_);  // By address.
  std::vector<Chunk*> open_ ABSL_GUARDED_BY(mutex_);                                      // Anything is free.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_FRAME_POOL_H_
