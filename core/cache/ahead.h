// Going through the columns of a request while memory is asked for what the items further on will need: a batch waits
// once for memory, not for every item.
#ifndef DMCACHED_CORE_CACHE_AHEAD_H_
#define DMCACHED_CORE_CACHE_AHEAD_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/ids.h"
#include "core/cache/origin_index.h"

namespace dmcached {

// How many items memory is asked in advance.
inline constexpr size_t kAhead = 32;

// Calls `fetch(i)` for each of `items` items, kAhead items before their turn.
template <typename Fetch>
class Ahead {
 public:
  Ahead(size_t items, Fetch fetch) : items_(items), fetch_(fetch) {
    for (size_t i = 0; i < std::min(items, kAhead); ++i) fetch_(i);
  }
  // It is the turn of item `i`: called for 0, 1, ...
  void Reach(size_t i) const {
    if (i + kAhead < items_) fetch_(i + kAhead);
  }

 private:
  const size_t items_;
  const Fetch fetch_;
};

// The hashes of a column of oblocks, each computed once, when its bucket is fetched.
class HashesAhead {
 public:
  HashesAhead(const OriginIndex& index, std::span<const uint64_t> oblocks) : index_(index), oblocks_(oblocks) {
    for (size_t i = 0; i < std::min(oblocks.size(), kAhead); ++i) Fetch(i);
  }
  // Of item `i`: asked for 0, 1, ...
  uint64_t Reach(size_t i) {
    const uint64_t hash = ring_[i % kAhead];
    if (i + kAhead < oblocks_.size()) Fetch(i + kAhead);
    return hash;
  }

 private:
  void Fetch(size_t i) {
    const uint64_t hash = OriginIndex::Hash(Oblock(oblocks_[i]));
    index_.Prefetch(hash);
    ring_[i % kAhead] = hash;
  }

  const OriginIndex& index_;
  const std::span<const uint64_t> oblocks_;
  std::array<uint64_t, kAhead> ring_;
};

// The same with what the first buckets say, which is looked at as soon as they are there; `fetch(cblock)` asks for what
// a guess needs.
template <typename Fetch>
class GlimpsesAhead {
 public:
  struct Item {
    uint64_t hash;
    OriginIndex::Glimpse glimpse;
  };

  GlimpsesAhead(const OriginIndex& index, std::span<const uint64_t> oblocks, Fetch fetch)
      : index_(index), oblocks_(oblocks), hashes_(index, oblocks), fetch_(fetch) {
    for (size_t i = 0; i < std::min(oblocks.size(), kGlanceAhead); ++i) Glance(i);
  }
  Item Reach(size_t i) {
    const Item item = ring_[i % kGlanceAhead];
    if (i + kGlanceAhead < oblocks_.size()) Glance(i + kGlanceAhead);
    return item;
  }

 private:
  static constexpr size_t kGlanceAhead = 16;

  void Glance(size_t i) {
    const uint64_t hash = hashes_.Reach(i);
    const OriginIndex::Glimpse glimpse = index_.Glance(hash);
    if (glimpse.guessed) fetch_(glimpse.guess.value());
    ring_[i % kGlanceAhead] = {hash, glimpse};
  }

  const OriginIndex& index_;
  const std::span<const uint64_t> oblocks_;
  HashesAhead hashes_;
  const Fetch fetch_;
  std::array<Item, kGlanceAhead> ring_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_AHEAD_H_
