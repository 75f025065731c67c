// Finds the oblocks that were added more than once, whatever range they are from, in 6 bytes each.
//
// Oblocks are spread over parts by a hash while they are added, and each part is then searched by itself, with a table
// that stays in the processor's cache: a walk over memory in order instead of one at random.  Who knows the hash can
// fill one part or make all of it look alike; such a part is sorted, as is one that has duplicates.
// Memory: 6 bytes per mapping, a fiftieth of that for tables, and 2.5 MiB.
#ifndef DMCACHED_CORE_MAINTENANCE_ORIGIN_PARTS_H_
#define DMCACHED_CORE_MAINTENANCE_ORIGIN_PARTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/base/executor.h"
#include "core/base/huge_memory.h"
#include "core/base/ids.h"

namespace dmcached {

// An oblock in the 48 bits that a mapping has for it.
class PackedOblock {
 public:
  PackedOblock() = default;
  explicit PackedOblock(uint64_t oblock) {
    const auto low = static_cast<uint32_t>(oblock);
    const auto high = static_cast<uint16_t>(oblock >> 32);
    std::memcpy(bytes_, &low, sizeof(low));
    std::memcpy(bytes_ + sizeof(low), &high, sizeof(high));
  }
  uint64_t value() const {
    uint32_t low = 0;
    uint16_t high = 0;
    std::memcpy(&low, bytes_, sizeof(low));
    std::memcpy(&high, bytes_ + sizeof(low), sizeof(high));
    return uint64_t{high} << 32 | low;
  }
  friend bool operator==(PackedOblock a, PackedOblock b) { return a.value() == b.value(); }
  friend bool operator<(PackedOblock a, PackedOblock b) { return a.value() < b.value(); }

 private:
  std::byte bytes_[6];
};

class OriginParts {
 public:
  // At most `mappings` oblocks are added.  Memory is taken as they are.
  OriginParts(uint64_t mappings, size_t lanes);

  // Thread-safe, if each lane is used by one thread at a time.
  void Add(size_t lane, std::span<const Oblock> oblocks) {
    Cursor* const cursors = lanes_[lane].cursors.data();
    const unsigned shift = 63 - part_bits_;
    for (const Oblock oblock : oblocks) {
      Cursor& cursor = cursors[Mixed(oblock.value()) >> 1 >> shift];
      if (cursor.next == cursor.end) Refill(lanes_[lane], cursor);
      *cursor.next++ = PackedOblock(oblock.value());
    }
  }

  // After the last Add.  `executor` (or null) helps.  Errors: those of `interrupted`, which is asked now and then.
  absl::Status Finish(Executor* executor, const std::function<absl::Status()>& interrupted);

  // After Finish.  Those that were added more than once, in order.
  std::span<const PackedOblock> duplicates() const { return duplicates_; }
  // What has been touched so far.
  uint64_t memory_bytes() const;

 private:
  // A multiple of a cache line, but no power of two: the parts' ends would all compete for the same lines.
  static constexpr uint64_t kSegmentOblocks = 128;
  static constexpr uint64_t kMaxParts = 512;
  static constexpr uint64_t kPartOblocks = 8192;  // In a part, until there are kMaxParts.
  static constexpr uint64_t kFieldsPerOblock = 32;
  static constexpr uint64_t kFieldsPerWord = 32;
  static constexpr uint64_t kWaveOblocks = 1 << 22;  // Searched before `interrupted` is asked again.

  struct Cursor {  // Where a lane adds to a part.
    PackedOblock* next = nullptr;
    PackedOblock* end = nullptr;
  };
  struct Lane {
    std::vector<Cursor> cursors;       // By part.
    std::vector<uint64_t> fields;      // Of two bits: a hash was met, was met again.
    std::vector<uint64_t> candidates;  // Oblocks whose hash was met again.
  };

  static uint64_t Mixed(uint64_t oblock) { return oblock * 0x9E3779B97F4A7C15; }
  struct FieldOf {  // The bits of the hash behind those that choose the part.
    unsigned part_bits;
    unsigned field_bits;
    uint64_t operator()(uint64_t oblock) const { return Mixed(oblock) << part_bits >> (64 - field_bits); }
  };
  PackedOblock* oblocks() const { return reinterpret_cast<PackedOblock*>(memory_.data()); }
  std::span<PackedOblock> Segment(size_t segment) const {
    return {oblocks() + segment * kSegmentOblocks, used_[segment]};
  }
  std::span<const uint32_t> SegmentsOf(uint64_t part) const {
    return std::span(by_part_).subspan(part_begins_[part], part_begins_[part + 1] - part_begins_[part]);
  }

  // Segments of a part lie anywhere, so that the processor does not guess the next one.
  void Fetch(size_t segment) const;
  void Refill(Lane& lane, Cursor& cursor);
  void EndSegments();
  // Whether the part may have duplicates.
  bool Search(uint64_t part, Lane& lane) const;
  // Fills lane.fields; whether there is a hash that was met again.
  bool Mark(uint64_t part, Lane& lane) const;
  void SortDoubtful();

  const unsigned part_bits_;
  const unsigned field_bits_;
  const size_t max_candidates_;
  std::vector<Lane> lanes_;
  std::atomic<size_t> segments_{0};
  std::vector<uint16_t> used_;     // By segment: how many oblocks it holds.
  std::vector<uint16_t> part_of_;  // By segment.
  std::vector<uint32_t> by_part_;  // Segments, ordered by part.
  std::vector<uint32_t> part_begins_;
  std::vector<uint8_t> doubtful_;  // By part.
  HugeMemory memory_;              // The segments.
  std::span<PackedOblock> duplicates_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_ORIGIN_PARTS_H_
