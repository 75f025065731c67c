#include "core/cache/origin_index_builder.h"

#include <algorithm>
#include <bit>

#include "core/base/check.h"
#include "core/base/parallel.h"
#include "core/base/prefetch.h"

namespace dmcached {
namespace {

Cblock CblockOf(uint64_t entry) { return Cblock(static_cast<uint32_t>(entry)); }
uint8_t TagOf(uint64_t entry) { return static_cast<uint8_t>(entry >> 32); }
uint64_t HomeInPart(uint64_t entry) { return entry >> 40; }

}  // namespace

void OriginIndexBuilder::Lane::AddAll(std::span<const Oblock> oblocks, std::span<const Cblock> cblocks) {
  constexpr uint32_t kFetchAhead = 16;  // Two cache lines.
  // Copies, which no store below can be taken to change.
  const uint64_t buckets = table_->buckets().size();
  const uint32_t part_shift = part_shift_;
  const uint32_t part_capacity = part_capacity_;
  uint64_t* const entries = entries_;
  uint32_t* const counts = counts_.data();
  for (size_t i = 0; i < oblocks.size(); ++i) {
    const uint64_t hash = OriginIndex::Hash(oblocks[i]);
    const uint64_t home = OriginIndex::HomeAmong(buckets, hash);
    const uint64_t part = home >> part_shift;
    const uint64_t entry =
        cblocks[i].value() | uint64_t{OriginIndex::Tag(hash)} << 32 | (home & ((uint64_t{1} << part_shift) - 1)) << 40;
    const uint32_t count = counts[part];
    PrefetchLine(entries + part * part_capacity + count + kFetchAhead);
    if (count < part_capacity) {
      entries[part * part_capacity + count] = entry;
      counts[part] = count + 1;
    } else {
      surplus_.push_back({home, entry});
    }
  }
}

OriginIndexBuilder::OriginIndexBuilder(OriginIndex& index, uint64_t mappings, size_t lanes, uint64_t scratch_bytes)
    : table_(index.tables_.front()), lanes_(lanes) {
  DMCACHED_CHECK(index.tables_.size() == 1 && table_.capacity - table_.entries >= mappings);
  const uint64_t buckets = table_.buckets().size();
  const uint64_t per_part = std::bit_ceil(std::max(kPartBuckets, CeilDiv(buckets, kMaxParts)));
  part_shift_ = static_cast<uint32_t>(std::countr_zero(per_part));
  parts_ = CeilDiv(buckets, per_part);
  // A small cache needs no more than its own size, with a little for parts that get more than their share.
  const uint64_t wanted = std::min(scratch_bytes / sizeof(uint64_t), mappings + mappings / 8 + 64 * parts_);
  const uint64_t part_capacity = std::max<uint64_t>(16, wanted / lanes / parts_);
  for (Lane& lane : lanes_) {
    lane.table_ = &table_;
    lane.part_shift_ = part_shift_;
    lane.part_capacity_ = static_cast<uint32_t>(part_capacity);
    lane.memory_ = HugeMemory(part_capacity * parts_ * sizeof(uint64_t));
    lane.entries_ = reinterpret_cast<uint64_t*>(lane.memory_.data());
    lane.counts_.resize(parts_);
  }
}

void OriginIndexBuilder::FillPart(uint64_t part) {
  constexpr uint32_t kAhead = 40;
  const std::span<OriginIndex::Bucket> buckets = table_.buckets();
  const uint64_t first = part << part_shift_;
  const uint64_t end = std::min<uint64_t>(first + (uint64_t{1} << part_shift_), buckets.size());
  uint64_t added = 0;
  for (const Lane& lane : lanes_) added += lane.counts_[part];
  if (added >= end - first) table_.memory.Populate(first * sizeof(buckets[0]), (end - first) * sizeof(buckets[0]));
  for (Lane& lane : lanes_) {
    const uint64_t* entries = &lane.entries_[part * lane.part_capacity_];
    const uint32_t count = lane.counts_[part];
    for (uint32_t i = 0; i < count; ++i) {
      if (i + kAhead < count) PrefetchLine(&buckets[first + HomeInPart(entries[i + kAhead])]);
      const uint64_t home = first + HomeInPart(entries[i]);
      if (buckets[home].Put(TagOf(entries[i]), CblockOf(entries[i]))) continue;
      if (OriginIndex::InsertWithin(table_, home, end, TagOf(entries[i]), CblockOf(entries[i]))) continue;
      MutexLock lock(mutex_);
      left_over_.push_back({home, entries[i]});
    }
    lane.counts_[part] = 0;
  }
}

void OriginIndexBuilder::Flush(Executor* executor) {
  uint64_t added = 0;
  for (const Lane& lane : lanes_) {
    for (const uint32_t count : lane.counts_) added += count;
    added += lane.surplus_.size();
  }
  table_.entries += added;
  DMCACHED_CHECK(table_.entries <= table_.capacity);
  // A task takes several parts: as many tasks as parts would cost more than they bring.
  constexpr uint64_t kPartsPerTask = 8;
  RunParallel(executor, CeilDiv(parts_, kPartsPerTask), [&](size_t task) {
    const uint64_t end = std::min(parts_, (task + 1) * kPartsPerTask);
    for (uint64_t part = task * kPartsPerTask; part < end; ++part) FillPart(part);
  });
  const auto put = [&](std::vector<Lane::Surplus>& all) {
    for (const Lane::Surplus& one : all) {
      OriginIndex::InsertAt(table_, one.home, TagOf(one.entry), CblockOf(one.entry));
    }
    all.clear();
  };
  MutexLock lock(mutex_);
  put(left_over_);
  for (Lane& lane : lanes_) put(lane.surplus_);
}

}  // namespace dmcached
