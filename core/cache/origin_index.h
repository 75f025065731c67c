// Finds the cblock of an oblock: an open-addressing table of 4-byte cblocks and 1-byte tags.
//
// The oblocks themselves stay in the mapping array; a tag that matches is confirmed there.  Slots come in buckets of
// 12, a bucket is one cache line, with counts of the entries that had to go past it, so that removing needs no
// tombstones and a look-up ends at the first bucket that nothing like it went past.  Sized for a load of
// kLoadPercent.
#ifndef DMCACHED_CORE_CACHE_ORIGIN_INDEX_H_
#define DMCACHED_CORE_CACHE_ORIGIN_INDEX_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/equal_bytes.h"
#include "core/base/huge_memory.h"
#include "core/base/ids.h"
#include "core/base/prefetch.h"

namespace dmcached {

class OriginIndex {  // Not thread-safe.
 public:
  static constexpr size_t kSlots = 12;  // Of a bucket.
  static constexpr uint64_t kLoadPercent = 86;
  static constexpr double kBytesPerCacheBlock =  // Of cache lines; 6.2.
      64.0 * 100 / (kSlots * kLoadPercent);

  // Room for `cache_blocks` entries more.  What grows later lives in a table of its own until the next open.
  void Grow(uint64_t cache_blocks);

  // Of an oblock.  Whoever goes through many computes it once for each, and fetches what is needed meanwhile.
  static uint64_t Hash(Oblock oblock) {  // The finalizer of SplitMix64: every bit of the input reaches every bit.
    uint64_t x = oblock.value() + 0x9E3779B97F4A7C15;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
    return x ^ (x >> 31);
  }

  // The oblock is not in the index yet.
  void Insert(uint64_t hash, Cblock cblock) {
    Table* table = tables_.data();
    while (table->entries == table->capacity) table = Next(table);
    ++table->entries;
    const uint64_t home = table->Home(hash);
    if (!table->buckets()[home].Put(Tag(hash), cblock)) InsertAt(*table, home, Tag(hash), cblock);
  }
  void Insert(Oblock oblock, Cblock cblock) { Insert(Hash(oblock), cblock); }
  // The pair is in the index.
  void Erase(uint64_t hash, Cblock cblock) {
    Table& table = tables_.front();
    Bucket& b = table.buckets()[table.Home(hash)];
    for (SlotMask found(b, Tag(hash)); !found.empty(); found.Drop()) {
      if (b.cblocks[found.first()] != cblock.value()) continue;
      b.tags[found.first()] = 0;
      --table.entries;
      return;
    }
    EraseFar(hash, cblock);
  }
  void Erase(Oblock oblock, Cblock cblock) { Erase(Hash(oblock), cblock); }
  // Forgets every entry of a cblock that is not below `end`.
  void DropFrom(Cblock end);

  // The cblock for which `is_at(cblock)` says that it maps the oblock; asked for few others.  Expected O(1).
  template <typename IsAt>
  std::optional<Cblock> Find(uint64_t hash, IsAt&& is_at) const {
    for (const Table& table : tables_) {
      for (Probe probe(table, table.Home(hash), Tag(hash)); !probe.done(); probe.Advance()) {
        const Bucket& b = table.buckets()[probe.bucket()];
        for (SlotMask found(b, Tag(hash)); !found.empty(); found.Drop()) {
          if (is_at(Cblock(b.cblocks[found.first()]))) return Cblock(b.cblocks[found.first()]);
        }
        if (b.Passed(Tag(hash)) == 0) break;
      }
    }
    return std::nullopt;
  }
  template <typename IsAt>
  std::optional<Cblock> Find(Oblock oblock, IsAt&& is_at) const {
    return Find(Hash(oblock), std::forward<IsAt>(is_at));
  }

  // Fetches what Glance, Find, Insert and Erase will look at first.
  void Prefetch(uint64_t hash) const {
    for (const Table& table : tables_) PrefetchLine(&table.buckets()[table.Home(hash)]);
  }
  // What the first bucket of each table says: the cblock that Find will ask about first, if it is there; if not,
  // whether Find has no more to look at.
  struct Glimpse {
    bool absent = false;
    bool guessed = false;
    Cblock guess;
  };
  Glimpse Glance(uint64_t hash) const {
    bool ends = true;
    for (const Table& table : tables_) {
      const Bucket& b = table.buckets()[table.Home(hash)];
      const SlotMask found(b, Tag(hash));
      if (!found.empty()) return {.absent = false, .guessed = true, .guess = Cblock(b.cblocks[found.first()])};
      ends = ends && b.Passed(Tag(hash)) == 0;
    }
    return {.absent = ends, .guessed = false, .guess = Cblock(0)};
  }

 private:
  friend class OriginIndexBuilder;

  struct Bucket {
    uint8_t tags[kSlots];  // 0: empty.
    // Entries that went past, by the lowest bits of their tags: in an old cache, something went past nearly every
    // bucket.  A count that is full stays so, which costs probes until the next open.
    uint8_t passed[4];
    uint32_t cblocks[kSlots];

    uint8_t Passed(uint8_t tag) const { return passed[tag % 4]; }
    void CountPassed(uint8_t tag, int change) {
      uint8_t& count = passed[tag % 4];
      if (count != UINT8_MAX) count = static_cast<uint8_t>(count + change);
    }
    // False if there is no space.
    bool Put(uint8_t tag, Cblock cblock);
  };
  static_assert(sizeof(Bucket) == 64);

  // The slots of a bucket that have a tag.
  class SlotMask {
   public:
    SlotMask(const Bucket& bucket, uint8_t tag)
        : bits_(EqualBytes(reinterpret_cast<const std::byte*>(&bucket), tag) & ((1u << kSlots) - 1)) {}
    bool empty() const { return bits_ == 0; }
    size_t first() const { return static_cast<size_t>(std::countr_zero(bits_)); }
    void Drop() { bits_ &= bits_ - 1; }

   private:
    uint32_t bits_;  // Behind the tags comes `passed`, which EqualBytes looks at as well.
  };

  static uint64_t HomeAmong(uint64_t buckets, uint64_t hash) { return (hash >> 32) * buckets >> 32; }

  struct Table {
    HugeMemory memory;
    uint64_t capacity = 0;  // Entries at the intended load.
    uint64_t entries = 0;

    std::span<Bucket> buckets() const {
      return {reinterpret_cast<Bucket*>(memory.data()), memory.size_bytes() / sizeof(Bucket)};
    }
    uint64_t Home(uint64_t hash) const { return HomeAmong(buckets().size(), hash); }
  };

  // The buckets that an entry may be in, in order: from its home on in steps as long as its tag says, so that full
  // buckets next to each other do not grow together; after a few, one after the other, so that none is left out.
  class Probe {
   public:
    Probe(const Table& table, uint64_t home, uint8_t tag)
        : buckets_(table.buckets().size()), bucket_(home), tag_(tag) {}

    uint64_t bucket() const { return bucket_; }
    uint64_t steps() const { return steps_; }
    bool done() const { return steps_ >= buckets_ + kLongSteps; }
    void Advance() {
      bucket_ += steps_ < kLongSteps ? tag_ : 1;
      if (bucket_ >= buckets_) bucket_ %= buckets_;
      ++steps_;
    }

   private:
    static constexpr uint64_t kLongSteps = 8;

    uint64_t buckets_;
    uint64_t bucket_;
    uint64_t tag_;
    uint64_t steps_ = 0;
  };

  static uint8_t Tag(uint64_t hash) { return static_cast<uint8_t>((hash & 0xFF) == 0 ? 1 : hash & 0xFF); }
  // Into the first of its buckets that has space; `entries` is not counted.
  static void InsertAt(Table& table, uint64_t home, uint8_t tag, Cblock cblock);
  // The same, unless it leads beyond [home, end): then false, and nothing changed.
  static bool InsertWithin(Table& table, uint64_t home, uint64_t end, uint8_t tag, Cblock cblock);
  // The next one, which there is.
  Table* Next(Table* table);
  // Puts the entry where `probe` stands, if there is space.
  static bool PutAt(Table& table, const Probe& probe, uint64_t home, uint8_t tag, Cblock cblock);
  void EraseFar(uint64_t hash, Cblock cblock);
  static bool EraseFrom(Table& table, uint64_t hash, Cblock cblock);

  std::vector<Table> tables_;
};

inline bool OriginIndex::Bucket::Put(uint8_t tag, Cblock cblock) {
  const SlotMask empty(*this, 0);
  if (empty.empty()) return false;
  tags[empty.first()] = tag;
  cblocks[empty.first()] = cblock.value();
  return true;
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ORIGIN_INDEX_H_
