#include "core/cache/fingerprint.h"

#include <span>
#include <utility>

#include "absl/hash/hash.h"

namespace dmcached {
namespace {

// Mixes the parts of a mutation; two of them with different salts give the two halves.
template <typename H>
class Mixer {
 public:
  explicit Mixer(H h) : h_(std::move(h)) {}

  template <typename... Values>
  void Add(const Values&... values) {
    h_ = H::combine(std::move(h_), values...);
  }
  template <typename T>
  void Column(std::span<const T> column) {
    h_ = H::combine(H::combine_contiguous(std::move(h_), column.data(), column.size()), column.size());
  }
  template <typename Number>
  void Ranges(std::span<const HalfOpenRange<Number>> ranges) {
    for (const HalfOpenRange<Number>& range : ranges) Add(range.begin.value(), range.end.value());
    Add(ranges.size());
  }

  void operator()(const InsertMappings& m) {
    Column(m.cblocks);
    Column(m.oblocks);
    Column(m.dirty);
    Add(m.reservation.has_value(), m.reservation.value_or(0));
  }
  void operator()(const RemoveMappings& m) {
    Column(m.cblocks);
    Column(m.oblocks);
    Add(m.oblock_range.has_value(), m.discard_dirty);
    if (m.oblock_range.has_value()) Add(m.oblock_range->begin.value(), m.oblock_range->end.value());
  }
  void operator()(const MarkDirty& m) { Column(m.cblocks); }
  void operator()(const ClearDirty& m) {
    Column(m.cblocks);
    Column(m.oblocks);
  }
  void operator()(const SetDiscards& m) {
    Ranges(m.ranges);
    Add(m.discard_dirty);
  }
  void operator()(const ClearDiscards& m) { Ranges(m.ranges); }
  void operator()(const BeginHints& m) {
    Add(m.policy_name, m.policy_version.major, m.policy_version.minor, m.policy_version.patch, m.hint_size_bytes);
  }
  void operator()(const SaveHints& m) {
    Column(m.cblocks);
    Column(m.hints);
  }
  void operator()(const SetStats& m) {
    Add(m.stats.read_hits, m.stats.read_misses, m.stats.write_hits, m.stats.write_misses);
  }
  void operator()(const Resize& m) {
    Add(m.cache_blocks.has_value(), m.cache_blocks.value_or(0), m.origin_size.has_value(),
        m.origin_size.value_or(Sectors(0)).value());
  }

  H Take() { return std::move(h_); }

 private:
  H h_;
};

struct Salted {
  const Mutation* mutation;
  uint64_t salt;

  template <typename H>
  friend H AbslHashValue(H h, const Salted& salted) {
    Mixer<H> mixer(H::combine(std::move(h), salted.salt, salted.mutation->index()));
    std::visit(mixer, *salted.mutation);
    return mixer.Take();
  }
};

uint64_t Half(const Mutation& mutation, uint64_t salt) { return absl::Hash<Salted>{}(Salted{&mutation, salt}); }

}  // namespace

Fingerprint FingerprintOf(const Mutation& mutation) {
  return {Half(mutation, 0x9e3779b97f4a7c15), Half(mutation, 0xc2b2ae3d27d4eb4f)};
}

}  // namespace dmcached
