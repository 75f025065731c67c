// The words on the device that hold dirty bits: in version 1 the mappings themselves, each with a flag; in version 2
// those of a bitset.
#ifndef DMCACHED_CORE_CACHE_DIRTY_WORDS_H_
#define DMCACHED_CORE_CACHE_DIRTY_WORDS_H_

#include <cstdint>

#include "core/base/le.h"
#include "core/format/layout.h"
#include "core/store/block_set.h"
#include "core/store/packed_array.h"
#include "core/store/store.h"

namespace dmcached {

// Made anew for each request: what does not change during one stays in registers.
class DirtyWords {
 public:
  DirtyWords(Store& store, uint32_t version)
      : store_(store),
        array_(store.array(version == 1 ? ArrayKind::kMappings : ArrayKind::kDirty)),
        bitset_(version != 1) {}

  // Fetches the word of a cblock that will be stored soon, if it is resident; the cblock may be out of range.
  void Prefetch(uint32_t cblock) const { array_.PrefetchWord(Entry(cblock)); }
  // Names the block that will be changed.
  bool NameChange(uint32_t cblock, BlockSet& set) const {
    return set.Change(array_, Entry(cblock) / kArrayWordsPerBlock);
  }
  // The block was named.
  void Put(uint32_t cblock, bool dirty) const {
    const uint64_t entry = Entry(cblock);
    std::byte* word = store_.Writable(array_, entry / kArrayWordsPerBlock).data() + PackedArray::WordOffset(entry);
    const uint64_t bit = bitset_ ? uint64_t{1} << (cblock % kBitsPerWord) : kMappingFlagDirty;
    const uint64_t old = LoadLe<uint64_t>(word);
    StoreLe(word, dirty ? old | bit : old & ~bit);
  }

 private:
  uint64_t Entry(uint32_t cblock) const { return bitset_ ? cblock / kBitsPerWord : cblock; }

  Store& store_;
  PackedArray& array_;
  const bool bitset_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_DIRTY_WORDS_H_
