// The mappings of an array block that is as most are, all at once.
#ifndef DMCACHED_CORE_MAINTENANCE_MAPPING_WORDS_H_
#define DMCACHED_CORE_MAINTENANCE_MAPPING_WORDS_H_

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
    all_ = 0;
    last_ = 0;
    unmapped_ = 0;
    words_ = CeilDiv(count, kBitsPerWord);
    oblocks_ = 0;
    for (uint64_t w = 0; w < words_; ++w) {
      const std::byte* words = block.data() + sizeof(DiskArrayBlockHeader) + w * kBitsPerWord * sizeof(uint64_t);
      ReadWords(w, words, std::min<uint64_t>(kBitsPerWord, count - w * kBitsPerWord));
    }
    return (all_ & kMappingFlagMask & ~rules.known_flags) == 0 && unmapped_ == 0 &&
           (last_ == 0 || last_ >> kMappingFlagBits < rules.oblock_end);
  }

  // Bit i is that of entry i.
  std::span<const uint64_t> mapped() const { return std::span(mapped_).first(words_); }
  std::span<const uint64_t> dirty() const { return std::span(dirty_).first(words_); }
  // Of the mapped entries, in order.
  std::span<const Oblock> oblocks() const { return std::span(oblock_).first(oblocks_); }

 private:
  static constexpr size_t kWords = CeilDiv(kArrayWordsPerBlock, kBitsPerWord);
  static_assert(kMappingFlagValid == 1);

  // What there is most of, cblocks that are all mapped, takes the short way.
  void ReadWords(uint64_t w, const std::byte* bytes, uint64_t count) {
    std::array<uint64_t, kBitsPerWord> words;  // Where nothing else is, so that the loops need not read again.
    for (uint64_t i = 0; i < count; ++i) words[i] = LoadLe<uint64_t>(bytes + i * sizeof(uint64_t));
    uint64_t all = 0;
    uint64_t common = ~uint64_t{0};
    uint64_t last = last_;
    for (uint64_t i = 0; i < count; ++i) {
      all |= words[i];
      common &= words[i];
      last = std::max(last, words[i]);
    }
    all_ |= all;
    last_ = last;
    const auto used = std::span<const uint64_t>(words).first(count);
    dirty_[w] = (all & kMappingFlagDirty) == 0 ? 0 : BitsOf(kMappingFlagDirty, used);
    mapped_[w] =
        (common & kMappingFlagValid) != 0 ? ~uint64_t{0} >> (kBitsPerWord - count) : BitsOf(kMappingFlagValid, used);
    Oblock* oblock = oblock_.data() + oblocks_;
    if ((common & kMappingFlagValid) != 0) {
      for (uint64_t i = 0; i < count; ++i) oblock[i] = Oblock(words[i] >> kMappingFlagBits);
      oblocks_ += count;
      return;
    }
    uint64_t unmapped = 0;
    for (uint64_t i = 0; i < count; ++i) {
      const uint64_t valid = words[i] & kMappingFlagValid;
      unmapped |= words[i] & (valid - 1);
      *oblock = Oblock(words[i] >> kMappingFlagBits);
      oblock += valid;
    }
    unmapped_ |= unmapped;
    oblocks_ = static_cast<size_t>(oblock - oblock_.data());
  }

  static uint64_t BitsOf(uint64_t flag, std::span<const uint64_t> words) {
    uint64_t bits = 0;
    for (size_t i = 0; i < words.size(); ++i) bits |= uint64_t{(words[i] & flag) != 0} << i;
    return bits;
  }

  uint64_t all_ = 0;       // Every bit of any word.
  uint64_t last_ = 0;      // The word of the highest oblock.
  uint64_t unmapped_ = 0;  // Not 0 if there is a word that is neither zero nor valid.

  std::array<uint64_t, kWords> mapped_;
  std::array<uint64_t, kWords> dirty_;
  std::array<Oblock, kArrayWordsPerBlock + 1> oblock_;  // One more is written and not counted.
  size_t words_ = 0;
  size_t oblocks_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_MAPPING_WORDS_H_
