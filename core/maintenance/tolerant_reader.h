// Reads many blocks and goes on past those that cannot be read or fail their check.
#ifndef DMCACHED_CORE_MAINTENANCE_TOLERANT_READER_H_
#define DMCACHED_CORE_MAINTENANCE_TOLERANT_READER_H_

#include <array>
#include <atomic>
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

  // Deals with a block whose check is OK in the thread that read it, in no order; false leaves it for Visit.  At most
  // one call at a time has the same `lane`.
  using Take = std::function<bool(size_t lane, size_t i, std::span<const std::byte> block)>;
  static constexpr size_t kLanes = 4;

  // `executor` (or null) helps; `on_read` is told how many more blocks were read.  All outlive the reader.
  TolerantReader(CheckSource& source, Executor* executor, std::function<void(uint64_t)> on_read);

  // Visits the block at every location (below source.blocks()) that `take` (or null) left, in the order given.
  // Neighbours are read in one request, several requests at a time.  Errors: those of CheckSource::Interrupted only.
  absl::Status ReadAll(BlockType type, std::span<const uint32_t> locations, const Visit& visit,
                       const Take& take = nullptr);

  Executor* executor() { return executor_; }
  CheckSource& source() { return source_; }

 private:
  static constexpr size_t kChunkBlocks = 64;  // Read at once: they fit into a processor's own cache.
  // Between two visits.  Many, because every wave wakes helpers and waits for the last of them; but when so many are
  // left, the wave ends.
  static constexpr size_t kWaveBlocks = 4096;
  static constexpr size_t kMostLeftBlocks = 256;

  struct Left {
    size_t i;  // Of all that are read.
    absl::Status checked;
    std::vector<std::byte> block;
  };
  struct Wave {
    BlockType type;
    std::span<const uint32_t> locations;  // Of all that are read.
    size_t begin;
    size_t end;
    const Take& take;
  };

  // Returns the end of what was read.
  size_t ReadWave(const Wave& wave);
  void ReadChunk(const Wave& wave, size_t lane, size_t first);
  // What `take` left in the last wave, in order.
  std::vector<Left> TakeLeft();

  CheckSource& source_;
  Executor* const executor_;
  const std::function<void(uint64_t)> on_read_;
  std::array<AlignedBuffer, kLanes> buffers_;
  std::array<std::vector<Left>, kLanes> left_;
  std::atomic<size_t> left_blocks_{0};
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_TOLERANT_READER_H_
