// The steps of one item of a batch, inline: included by the sources of CacheMetadata that go through columns.
#ifndef DMCACHED_CORE_CACHE_CACHE_ITEMS_H_
#define DMCACHED_CORE_CACHE_CACHE_ITEMS_H_

#include "core/base/le.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {

inline void CacheMetadata::PrefetchStates(std::span<const uint32_t> cblocks, size_t i) const {
  if (i + kAhead < cblocks.size()) states_.Prefetch(cblocks[i + kAhead]);
}
inline void CacheMetadata::PrefetchMapping(std::span<const uint32_t> cblocks, size_t i) const {
  if (i + kAhead < cblocks.size()) store_->array(ArrayKind::kMappings).PrefetchWord(cblocks[i + kAhead]);
}
inline void CacheMetadata::PrefetchDirty(std::span<const uint32_t> cblocks, size_t i) const {
  if (superblock_.version == 1) return PrefetchMapping(cblocks, i);
  if (i + kAhead < cblocks.size()) store_->array(ArrayKind::kDirty).PrefetchWord(cblocks[i + kAhead] / kBitsPerWord);
}
inline void CacheMetadata::PrefetchOrigin(std::span<const uint64_t> oblocks, size_t i) const {
  if (i + kAhead < oblocks.size()) origin_index_.Prefetch(Oblock(oblocks[i + kAhead]));
}

inline void CacheMetadata::SetWord(ArrayKind kind, uint64_t entry, uint64_t word) {
  StoreLe(store_->Writable(kind, entry / kArrayWordsPerBlock).data() + PackedArray::WordOffset(entry), word);
}

inline bool CacheMetadata::NameDirtyChange(uint32_t cblock, BlockSet& set) {
  if (superblock_.version == 1) {
    return set.Change(store_->array(ArrayKind::kMappings), cblock / kArrayWordsPerBlock);
  }
  return set.Change(store_->array(ArrayKind::kDirty), cblock / kBitsPerWord / kArrayWordsPerBlock);
}

inline void CacheMetadata::StoreDirty(uint32_t cblock, bool dirty) {
  if (states_.dirty_bit(cblock) == dirty) return;
  states_.SetDirtyBit(cblock, dirty);
  if (superblock_.version == 1) {
    const uint64_t word = MappingWord(cblock);
    SetWord(ArrayKind::kMappings, cblock, dirty ? word | kMappingFlagDirty : word & ~kMappingFlagDirty);
    return;
  }
  const uint32_t entry = cblock / kBitsPerWord;
  const uint64_t bit = uint64_t{1} << (cblock % kBitsPerWord);
  const uint64_t word = store_->array(ArrayKind::kDirty).Word(entry);
  SetWord(ArrayKind::kDirty, entry, dirty ? word | bit : word & ~bit);
}

inline bool CacheMetadata::ReadMapping(uint32_t cblock, BlockSet& set) {
  return set.Read(store_->array(ArrayKind::kMappings), cblock / kArrayWordsPerBlock);
}

inline std::optional<Cblock> CacheMetadata::FindOblock(Oblock oblock, BlockSet& set) {
  return origin_index_.Find(oblock, [&](Cblock cblock) {
    if (cblock.value() >= superblock_.cache_blocks || !states_.mapped(cblock.value())) return false;
    if (!ReadMapping(cblock.value(), set)) return false;  // Asked again when the block is resident.
    return MappingWord(cblock.value()) >> kMappingFlagBits == oblock.value();
  });
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_ITEMS_H_
