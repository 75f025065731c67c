// The steps of one item of a batch, inline: included by the sources of CacheMetadata that go through columns.
#ifndef DMCACHED_CORE_CACHE_CACHE_ITEMS_H_
#define DMCACHED_CORE_CACHE_CACHE_ITEMS_H_

#include "core/base/le.h"
#include "core/cache/ahead.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {

inline void CacheMetadata::PrefetchMapping(uint32_t cblock) const {
  states_.Prefetch(cblock);
  store_->array(ArrayKind::kMappings).PrefetchWord(cblock);
}
inline std::byte* CacheMetadata::WritableWord(PackedArray& array, uint64_t entry) {
  return store_->Writable(array, entry / kArrayWordsPerBlock).data() + PackedArray::WordOffset(entry);
}
inline void CacheMetadata::SetWord(PackedArray& array, uint64_t entry, uint64_t word) {
  StoreLe(WritableWord(array, entry), word);
}
inline DirtyWords CacheMetadata::dirty_words() { return {*store_, superblock_.version}; }

inline bool CacheMetadata::ReadMapping(uint32_t cblock, BlockSet& set) {
  return set.Read(store_->array(ArrayKind::kMappings), cblock / kArrayWordsPerBlock);
}

inline bool CacheMetadata::IsPair(uint32_t cblock, uint64_t oblock, BlockSet& set) {
  if (cblock >= superblock_.cache_blocks || oblock >= oblock_end_ || !states_.mapped(cblock)) return false;
  return !ReadMapping(cblock, set) || MappingWord(cblock) >> kMappingFlagBits == oblock;
}

inline bool CacheMetadata::MapsTo(Cblock cblock, Oblock oblock, BlockSet& set) {
  if (cblock.value() >= superblock_.cache_blocks || !states_.mapped(cblock.value())) return false;
  if (!ReadMapping(cblock.value(), set)) return false;  // Asked again when the block is resident.
  return MappingWord(cblock.value()) >> kMappingFlagBits == oblock.value();
}

inline std::optional<Cblock> CacheMetadata::FindOblock(Oblock oblock, uint64_t hash, BlockSet& set) {
  return origin_index_.Find(hash, [&](Cblock cblock) { return MapsTo(cblock, oblock, set); });
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_ITEMS_H_
