#include "core/maintenance/origin_parts.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "core/base/check.h"
#include "core/base/parallel.h"
#include "core/base/prefetch.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

unsigned CeilLog2(uint64_t value) { return static_cast<unsigned>(std::bit_width(std::max<uint64_t>(value, 1) - 1)); }

// Moves one of each value that is there twice to the front of the sorted `values`, and returns them.
std::span<PackedOblock> KeepTwice(std::span<PackedOblock> values) {
  size_t kept = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] != values[i - 1] || (kept > 0 && values[kept - 1] == values[i])) continue;
    values[kept++] = values[i];
  }
  return values.first(kept);
}

}  // namespace

OriginParts::OriginParts(uint64_t mappings, size_t lanes)
    : part_bits_(std::min(CeilLog2(CeilDiv(mappings, kPartOblocks)), CeilLog2(kMaxParts))),
      field_bits_(CeilLog2(std::max(kPartOblocks, mappings >> part_bits_) * kFieldsPerOblock)),
      max_candidates_(std::max(kPartOblocks, mappings >> part_bits_) / 4),
      lanes_(lanes) {
  const uint64_t parts = uint64_t{1} << part_bits_;
  for (Lane& lane : lanes_) lane.cursors.resize(parts);
  const uint64_t segments = CeilDiv(mappings, kSegmentOblocks) + lanes * parts;
  DMCACHED_CHECK(segments <= std::numeric_limits<uint32_t>::max());
  used_.resize(segments);
  part_of_.resize(segments);
  memory_ = HugeMemory(segments * kSegmentOblocks * sizeof(PackedOblock));
}

void OriginParts::Refill(Lane& lane, Cursor& cursor) {
  const size_t segment = segments_.fetch_add(1, std::memory_order_relaxed);
  DMCACHED_CHECK(segment < used_.size());
  used_[segment] = kSegmentOblocks;
  part_of_[segment] = static_cast<uint16_t>(&cursor - lane.cursors.data());
  const std::span<PackedOblock> free = Segment(segment);
  cursor = {free.data(), free.data() + free.size()};
}

void OriginParts::EndSegments() {
  for (const Lane& lane : lanes_) {
    for (const Cursor& cursor : lane.cursors) {
      if (cursor.next == cursor.end) continue;
      const auto segment = static_cast<size_t>(cursor.next - oblocks()) / kSegmentOblocks;
      used_[segment] = static_cast<uint16_t>(kSegmentOblocks - static_cast<uint64_t>(cursor.end - cursor.next));
    }
  }
  part_begins_.resize((uint64_t{1} << part_bits_) + 1);
  for (size_t i = 0; i < segments_; ++i) ++part_begins_[part_of_[i] + 1];
  for (size_t part = 1; part < part_begins_.size(); ++part) part_begins_[part] += part_begins_[part - 1];
  by_part_.resize(segments_);
  std::vector<uint32_t> next(part_begins_.begin(), part_begins_.end() - 1);
  for (size_t i = 0; i < segments_; ++i) by_part_[next[part_of_[i]]++] = static_cast<uint32_t>(i);
}

absl::Status OriginParts::Finish(Executor* executor, const std::function<absl::Status()>& interrupted) {
  if (segments_ == 0) return absl::OkStatus();
  EndSegments();
  const uint64_t parts = uint64_t{1} << part_bits_;
  doubtful_.resize(parts);
  const uint64_t wave =
      std::max<uint64_t>(1, kWaveOblocks / std::max(kPartOblocks, segments_ * kSegmentOblocks / parts));
  for (uint64_t begin = 0; begin < parts; begin += wave) {
    DMCACHED_RETURN_IF_ERROR(interrupted());
    const uint64_t end = std::min(begin + wave, parts);
    std::atomic<uint64_t> next{begin};
    RunParallel(executor, lanes_.size(), [&](size_t lane) {
      for (uint64_t part = next++; part < end; part = next++) doubtful_[part] = Search(part, lanes_[lane]) ? 1 : 0;
    });
  }
  SortDoubtful();
  return absl::OkStatus();
}

void OriginParts::Fetch(size_t segment) const {
  constexpr size_t kLineBytes = 64;
  const auto* begin = reinterpret_cast<const std::byte*>(oblocks() + segment * kSegmentOblocks);
  for (size_t at = 0; at < kSegmentOblocks * sizeof(PackedOblock); at += kLineBytes) PrefetchLine(begin + at);
}

bool OriginParts::Mark(uint64_t part, Lane& lane) const {
  lane.fields.assign((uint64_t{1} << field_bits_) / kFieldsPerWord, 0);
  uint64_t* const fields = lane.fields.data();
  const FieldOf field_of{part_bits_, field_bits_};
  uint64_t again = 0;
  const std::span<const uint32_t> segments = SegmentsOf(part);
  for (size_t i = 0; i < segments.size(); ++i) {
    if (i + 1 < segments.size()) Fetch(segments[i + 1]);
    for (const PackedOblock oblock : Segment(segments[i])) {
      const uint64_t field = field_of(oblock.value());
      const uint64_t word = fields[field / kFieldsPerWord];
      const uint64_t met = uint64_t{1} << (field % kFieldsPerWord * 2);
      const uint64_t met_again = (word & met) << 1;
      fields[field / kFieldsPerWord] = word | met | met_again;
      again |= met_again;
    }
  }
  return again != 0;
}

bool OriginParts::Search(uint64_t part, Lane& lane) const {
  if (SegmentsOf(part).empty() || !Mark(part, lane)) return false;
  const uint64_t* const fields = lane.fields.data();
  const FieldOf field_of{part_bits_, field_bits_};
  lane.candidates.resize(max_candidates_ + kSegmentOblocks);
  size_t candidates = 0;
  for (const uint32_t segment : SegmentsOf(part)) {
    for (const PackedOblock oblock : Segment(segment)) {
      const uint64_t field = field_of(oblock.value());
      lane.candidates[candidates] = oblock.value();
      candidates += fields[field / kFieldsPerWord] >> (field % kFieldsPerWord * 2 + 1) & 1;
    }
    if (candidates >= max_candidates_) return true;
  }
  const auto end = lane.candidates.begin() + static_cast<ptrdiff_t>(candidates);
  std::sort(lane.candidates.begin(), end);
  return std::adjacent_find(lane.candidates.begin(), end) != end;
}

void OriginParts::SortDoubtful() {
  PackedOblock* const begin = oblocks();
  PackedOblock* end = begin;
  for (size_t i = 0; i < segments_; ++i) {
    if (doubtful_[part_of_[i]] == 0) continue;
    const std::span<const PackedOblock> segment = Segment(i);
    end = std::copy(segment.begin(), segment.end(), end);  // Never to a higher address.
  }
  std::sort(begin, end);
  duplicates_ = KeepTwice({begin, end});
}

uint64_t OriginParts::memory_bytes() const {
  uint64_t bytes = segments_ * kSegmentOblocks * sizeof(PackedOblock) + doubtful_.capacity();
  bytes += (used_.capacity() + part_of_.capacity()) * sizeof(uint16_t);
  bytes += (by_part_.capacity() + part_begins_.capacity()) * sizeof(uint32_t);
  for (const Lane& lane : lanes_) {
    bytes += lane.cursors.capacity() * sizeof(Cursor);
    bytes += (lane.fields.capacity() + lane.candidates.capacity()) * sizeof(uint64_t);
  }
  return bytes;
}

}  // namespace dmcached
