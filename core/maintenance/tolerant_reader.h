// Reads many blocks and goes on past those that cannot be read or fail their check.
#ifndef DMCACHED_CORE_MAINTENANCE_TOLERANT_READER_H_
#define DMCACHED_CORE_MAINTENANCE_TOLERANT_READER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/base/aligned_buffer.h"
#include "core/base/executor.h"
#include "core/format/seal.h"
#include "core/maintenance/check_source.h"

namespace dmcached {

class TolerantReader {  // Not thread-safe.
 public:
  // `checked`: of checksum and location, or of the read.  `block` is valid during the call; its bytes mean something
  // only if `checked` is OK.
  using Visit = std::function<void(size_t i, const absl::Status& checked, std::span<const std::byte> block)>;

  // `executor` (or null) helps; `on_read` is told how many more blocks were read.  All outlive the reader.
  TolerantReader(CheckSource& source, Executor* executor, std::function<void(uint64_t)> on_read);

  // Visits the block at every location (below source.blocks()), in the order given.  Neighbours are read in one
  // request, several requests at a time.  Errors: those of CheckSource::Interrupted only.
  absl::Status ReadAll(BlockType type, std::span<const uint32_t> locations, const Visit& visit);

  CheckSource& source() { return source_; }

 private:
  static constexpr size_t kChunkBlocks = 256;  // Read by one task.
  static constexpr size_t kChunks = 4;         // Read at a time: 4 MiB of buffer.

  void ReadChunk(BlockType type, std::span<const uint32_t> locations, size_t first);

  CheckSource& source_;
  Executor* const executor_;
  const std::function<void(uint64_t)> on_read_;
  AlignedBuffer buffer_;
  std::vector<absl::Status> checked_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_TOLERANT_READER_H_
