#include "core/cache/origin_index.h"

#include <algorithm>

#include "core/base/check.h"

namespace dmcached {

void OriginIndex::Grow(uint64_t cache_blocks) {
  uint64_t capacity = 0;
  uint64_t entries = 0;
  for (const Table& table : tables_) {
    capacity += table.capacity;
    entries += table.entries;
  }
  if (capacity >= entries + cache_blocks && !tables_.empty()) return;
  // Half as much again at least, so that a cache that grows in small steps keeps few tables.
  const uint64_t wanted = std::max(cache_blocks, capacity / 2);
  const uint64_t buckets = std::max<uint64_t>(1, CeilDiv(wanted * 100, kLoadPercent * kSlots));
  Table table;
  table.capacity = wanted;
  table.memory = HugeMemory(buckets * sizeof(Bucket));
  tables_.push_back(std::move(table));
}

OriginIndex::Table* OriginIndex::Next(Table* table) {
  DMCACHED_CHECK(table != &tables_.back());
  return table + 1;
}

void OriginIndex::InsertAt(Table& table, uint64_t home, uint8_t tag, Cblock cblock) {
  for (Probe probe(table, home, tag);; probe.Advance()) {
    DMCACHED_CHECK(!probe.done());
    if (PutAt(table, probe, home, tag, cblock)) return;
  }
}

bool OriginIndex::InsertWithin(Table& table, uint64_t home, uint64_t end, uint8_t tag, Cblock cblock) {
  for (Probe probe(table, home, tag); probe.bucket() >= home && probe.bucket() < end && !probe.done();
       probe.Advance()) {
    if (PutAt(table, probe, home, tag, cblock)) return true;
  }
  return false;
}

bool OriginIndex::PutAt(Table& table, const Probe& probe, uint64_t home, uint8_t tag, Cblock cblock) {
  if (!table.buckets()[probe.bucket()].Put(tag, cblock)) return false;
  for (Probe passed(table, home, tag); passed.steps() < probe.steps(); passed.Advance()) {
    table.buckets()[passed.bucket()].CountPassed(tag, 1);
  }
  return true;
}

bool OriginIndex::EraseFrom(Table& table, uint64_t hash, Cblock cblock) {
  const uint64_t home = table.Home(hash);
  const uint8_t tag = Tag(hash);
  for (Probe probe(table, home, tag); !probe.done(); probe.Advance()) {
    Bucket& b = table.buckets()[probe.bucket()];
    for (SlotMask found(b, tag); !found.empty(); found.Drop()) {
      if (b.cblocks[found.first()] != cblock.value()) continue;
      b.tags[found.first()] = 0;
      --table.entries;
      for (Probe passed(table, home, tag); passed.steps() < probe.steps(); passed.Advance()) {
        table.buckets()[passed.bucket()].CountPassed(tag, -1);
      }
      return true;
    }
    if (b.Passed(tag) == 0) return false;
  }
  return false;
}

void OriginIndex::EraseFar(uint64_t hash, Cblock cblock) {
  for (Table& table : tables_) {
    if (EraseFrom(table, hash, cblock)) return;
  }
  DMCACHED_UNREACHABLE("the mapping is not in the origin index");
}

void OriginIndex::DropFrom(Cblock end) {
  for (Table& table : tables_) {
    for (Bucket& bucket : table.buckets()) {
      for (size_t slot = 0; slot < kSlots; ++slot) {
        if (bucket.tags[slot] == 0 || bucket.cblocks[slot] < end.value()) continue;
        // The counts of the buckets that it passed stay too high, which costs a probe, until the next open.
        bucket.tags[slot] = 0;
        --table.entries;
      }
    }
  }
}

}  // namespace dmcached
