// The mappings of an array block that is as most are, all at once.
#ifndef DMCACHED_CORE_CACHE_MAPPING_WORDS_H_
#define DMCACHED_CORE_CACHE_MAPPING_WORDS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/ids.h"
#include "core/base/le.h"
#include "core/format/layout.h"

namespace dmcached {

class MappingWords {
 public:
  struct Rules {
    uint64_t known_flags = 0;  // That a mapping may have.
    uint64_t oblock_end = 0;   // Of the origin.
  };

  // Reads the first `count` entries of an array block (at most kArrayWordsPerBlock).  False if any of them is neither
  // zero nor a mapping by `rules`; nothing else means anything then.
  bool Read(std::span<const std::byte> block, uint64_t count, const Rules& rules) {
    const std::byte* const bytes = block.data() + sizeof(DiskArrayBlockHeader);
    words_ = CeilDiv(count, kBitsPerWord);
    // What most blocks need no more than: a loop that compilers make wide.
    const uint64_t last = std::min(rules.oblock_end, kMaxOblocks) - 1;
    uint64_t all = 0;
    uint64_t common = ~uint64_t{0};
    uint64_t beyond = 0;  // Its highest bit is set if an oblock is behind the last.
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t word = LoadLe<uint64_t>(bytes + i * sizeof(uint64_t));
      all |= word;
      common &= word;
      beyond |= last - (word >> kMappingFlagBits);
      oblock_[i] = Oblock(word >> kMappingFlagBits);
    }
    entries_ = oblocks_ = count;
    if ((all & kMappingFlagMask & ~rules.known_flags) != 0 || beyond >> 63 != 0) return false;
    TakeBits(dirty_, kMappingFlagDirty, all, common, bytes, count);
    TakeBits(mapped_, kMappingFlagValid, all, common, bytes, count);
    return (common & kMappingFlagValid) != 0 || TakeMapped(bytes, count);
  }

  // Bit i is that of entry i.
  std::span<const uint64_t> mapped() const { return std::span(mapped_).first(words_); }
  std::span<const uint64_t> dirty() const { return std::span(dirty_).first(words_); }
  uint64_t entries() const { return entries_; }
  // Of the mapped entries, in order.
  std::span<const Oblock> oblocks() const { return std::span(oblock_).first(oblocks_); }
  // What is behind all of them, and not below `end`.  Quick if that is `end`.
  uint64_t EndAbove(uint64_t end) const {
    uint64_t above = 0;  // Its highest bit is set if there is one at `end` or behind.
    for (const Oblock oblock : oblocks()) above |= end - 1 - oblock.value();
    if (end != 0 && above >> 63 == 0) return end;
    for (const Oblock oblock : oblocks()) end = std::max(end, oblock.value() + 1);
    return end;
  }

 private:
  static constexpr size_t kWords = CeilDiv(kArrayWordsPerBlock, kBitsPerWord);
  static_assert(kMappingFlagValid == 1);

  // Bit i of `bits`: whether entry i has the flag.  `all` has every bit of any entry, `common` those of all of them.
  static void TakeBits(std::array<uint64_t, kWords>& bits, uint64_t flag, uint64_t all, uint64_t common,
                       const std::byte* bytes, uint64_t count) {
    for (uint64_t w = 0, begin = 0; begin < count; ++w, begin += kBitsPerWord) {
      const uint64_t entries = std::min<uint64_t>(kBitsPerWord, count - begin);
      uint64_t found = (common & flag) == 0 ? 0 : ~uint64_t{0} >> (kBitsPerWord - entries);
      for (uint64_t i = 0; ((all ^ common) & flag) != 0 && i < entries; ++i) {  // Not all are alike.
        found |= uint64_t{(LoadLe<uint64_t>(bytes + (begin + i) * sizeof(uint64_t)) & flag) != 0} << i;
      }
      bits[w] = found;
    }
  }

  // The oblocks of the mapped entries only.  False if one of the others is not zero.
  bool TakeMapped(const std::byte* bytes, uint64_t count) {
    uint64_t odd = 0;
    Oblock* oblock = oblock_.data();
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t word = LoadLe<uint64_t>(bytes + i * sizeof(uint64_t));
      const uint64_t valid = word & kMappingFlagValid;
      odd |= word & (valid - 1);
      *oblock = Oblock(word >> kMappingFlagBits);
      oblock += valid;
    }
    oblocks_ = static_cast<size_t>(oblock - oblock_.data());
    return odd == 0;
  }

  std::array<uint64_t, kWords> mapped_;
  std::array<uint64_t, kWords> dirty_;
  std::array<Oblock, kArrayWordsPerBlock + 1> oblock_;  // One more is written and not counted.
  size_t words_ = 0;
  size_t entries_ = 0;
  size_t oblocks_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_MAPPING_WORDS_H_
