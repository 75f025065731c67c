// A packed array: fixed-size entries in array blocks, the blocks' locations in a plain vector (the directory).
//
// Array blocks stay as they are on disk, little endian, in the block cache; a slot of the directory holds a block's
// location and, when resident, its frame.  Blocks beyond the array's size are ignored, and freed by the next resize.
// Source: core/README.md section 2; layout, core/format/README.md.
#ifndef DMCACHED_CORE_STORE_PACKED_ARRAY_H_
#define DMCACHED_CORE_STORE_PACKED_ARRAY_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/base/check.h"
#include "core/base/ids.h"
#include "core/base/le.h"
#include "core/base/prefetch.h"
#include "core/format/layout.h"
#include "core/store/array_kind.h"
#include "core/store/block_cache.h"
#include "core/store/index_tree.h"

namespace dmcached {

// Checks the header of an array block whose checksum is right.  `entries`: the least it must hold.
// Errors: kDataLoss EUCLEAN.
absl::Status CheckArrayHeader(MetadataBlock location, uint32_t value_size, uint64_t entries,
                              std::span<const std::byte> block);
// Fills in the header of a block of `entries` entries.
void InitArrayBlock(uint32_t value_size, uint32_t entries, std::span<std::byte> block);
// Copies header and entries, but not checksum and location, which whoever writes `from` may be filling in meanwhile.
void CopyUnsealed(std::span<const std::byte> from, std::span<std::byte> to);

class PackedArray {  // Not thread-safe.
 public:
  PackedArray(ArrayKind kind, uint64_t generation, uint64_t entries, std::vector<Slot> slots, IndexTree index)
      : kind_(kind), generation_(generation), entries_(entries), slots_(std::move(slots)), index_(std::move(index)) {}

  ArrayKind kind() const { return kind_; }
  // Changes whenever blocks may be other ones at the same place: made anew or resized.
  uint64_t generation() const { return generation_; }
  uint32_t value_size() const { return ValueSize(kind_); }
  uint64_t per_block() const { return PerBlock(kind_); }
  static constexpr uint32_t ValueSize(ArrayKind kind) { return kind == ArrayKind::kHints ? kHintBytes : 8; }
  static constexpr uint64_t PerBlock(ArrayKind kind) {
    return kind == ArrayKind::kHints ? kHintsPerBlock : kArrayWordsPerBlock;
  }

  uint64_t entries() const { return entries_; }
  // Blocks that hold entries; the directory may have more.
  uint64_t blocks() const { return CeilDiv(entries_, per_block()); }
  uint64_t EntriesIn(uint64_t block) const { return std::min(per_block(), entries_ - block * per_block()); }

  Slot& slot(uint64_t block) {
    DMCACHED_CHECK(block < slots_.size());
    return slots_[block];
  }
  std::vector<Slot>& slots() { return slots_; }
  const std::vector<Slot>& slots() const { return slots_; }
  IndexTree& index() { return index_; }
  const IndexTree& index() const { return index_; }

  // The entry's 8 bytes; its block is resident.
  uint64_t Word(uint64_t entry) const {
    return LoadLe<uint64_t>(slots_[entry / kArrayWordsPerBlock].bytes + WordOffset(entry));
  }
  // The hint's 4 bytes; its block is resident.
  uint32_t Hint(uint64_t entry) const {
    return LoadLe<uint32_t>(slots_[entry / kHintsPerBlock].bytes + sizeof(DiskArrayBlockHeader) +
                            entry % kHintsPerBlock * sizeof(uint32_t));
  }
  // Fetches the word of an entry that will be read or written soon, if it is resident.
  void PrefetchWord(uint64_t entry) const {
    if (entry >= entries_) return;
    const std::byte* bytes = slots_[entry / kArrayWordsPerBlock].bytes;
    if (bytes != nullptr) PrefetchLine(bytes + WordOffset(entry));
  }
  static size_t WordOffset(uint64_t entry) {
    return sizeof(DiskArrayBlockHeader) + entry % kArrayWordsPerBlock * sizeof(uint64_t);
  }

 private:
  friend class Store;

  ArrayKind kind_;
  uint64_t generation_;
  uint64_t entries_;
  std::vector<Slot> slots_;
  IndexTree index_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_PACKED_ARRAY_H_
