// Shows a device that keeps all blocks but those of a gap as the large one that it stands for.
#ifndef DMCACHED_TESTS_CRASH_GAPPED_DEVICE_H_
#define DMCACHED_TESTS_CRASH_GAPPED_DEVICE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/ids.h"
#include "core/cache/cache_metadata.h"
#include "core/device/block_device.h"
#include "tests/support/gap.h"

namespace dmcached {

class GappedDevice : public BlockDevice {  // Thread-safe if `kept` is, which outlives it.
 public:
  GappedDevice(BlockDevice& kept, const Gap& gap) : BlockDevice(kept.name(), nullptr), kept_(kept), gap_(gap) {}

  uint64_t size_bytes() const override { return kept_.size_bytes() + gap_.blocks() * kMetadataBlockBytes; }
  size_t alignment_bytes() const override { return kept_.alignment_bytes(); }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }

 protected:
  // Transfers that touch the gap fail.
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override;
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override;
  absl::Status DoFlush() override { return kept_.Flush(); }

 private:
  template <typename Buffers>
  absl::StatusOr<uint64_t> KeptOffset(uint64_t offset_bytes, Buffers buffers) const;

  BlockDevice& kept_;
  const Gap gap_;
};

struct GappedImage {
  Gap gap;
  std::vector<std::byte> kept;
};
// A new cache with two bitmaps.  Its blocks are followed by a gap, that by `below` free blocks of the first bitmap and
// `above` of the second.
GappedImage FormatGapped(FormatParams params, uint64_t below, uint64_t above);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_GAPPED_DEVICE_H_
