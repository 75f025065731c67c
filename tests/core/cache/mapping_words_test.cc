#include "core/cache/mapping_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/base/aligned_buffer.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

uint64_t Mapping(uint64_t oblock, uint64_t flags) { return oblock << kMappingFlagBits | flags; }

MappingWords::Rules Version2(uint64_t oblock_end) {
  return {.known_flags = kMappingFlagValid, .oblock_end = oblock_end};
}

AlignedBuffer BlockOf(std::span<const uint64_t> words) {
  AlignedBuffer block(kMetadataBlockBytes);
  for (size_t i = 0; i < words.size(); ++i) {
    StoreLe<uint64_t>(block.data() + sizeof(DiskArrayBlockHeader) + i * sizeof(uint64_t), words[i]);
  }
  return block;
}

TEST(MappingWordsTest, TellsWhatIsMappedAndDirty) {
  Random random(3);
  for (const uint64_t count : {1u, 63u, 64u, 65u, 508u, 509u}) {
    for (const uint64_t holes : {0u, 2u, 100u}) {  // None, every other one, some.
      std::vector<uint64_t> words(count);
      std::vector<Oblock> oblocks;
      for (uint64_t& word : words) {
        if (holes > 0 && random.OneIn(holes)) continue;
        oblocks.emplace_back(random.Below(1000));
        word = Mapping(oblocks.back().value(), kMappingFlagValid | (random.OneIn(2) ? kMappingFlagDirty : 0));
      }
      MappingWords read;
      const MappingWords::Rules version_1 = {.known_flags = kMappingFlagValid | kMappingFlagDirty, .oblock_end = 1000};
      ASSERT_TRUE(read.Read(BlockOf(words).span(), count, version_1));
      EXPECT_THAT(read.oblocks(), testing::ElementsAreArray(oblocks));
      ASSERT_EQ(read.mapped().size(), CeilDiv(count, 64));
      for (uint64_t i = 0; i < CeilDiv(count, 64) * 64; ++i) {
        const uint64_t word = i < count ? words[i] : 0;
        EXPECT_EQ(read.mapped()[i / 64] >> (i % 64) & 1, word & kMappingFlagValid) << i;
        EXPECT_EQ((read.dirty()[i / 64] >> (i % 64) & 1) != 0, (word & kMappingFlagDirty) != 0) << i;
      }
    }
  }
}

TEST(MappingWordsTest, RefusesABlockWithAnyWordThatIsOdd) {
  for (const uint64_t other : {Mapping(5, kMappingFlagValid), uint64_t{0}}) {
    for (const uint64_t at : {0u, 64u, 508u}) {
      std::vector<uint64_t> words(kArrayWordsPerBlock, other);
      MappingWords read;
      const auto accepts = [&](uint64_t word, uint64_t oblock_end) {
        words[at] = word;
        return read.Read(BlockOf(words).span(), words.size(), Version2(oblock_end));
      };
      EXPECT_TRUE(accepts(Mapping(9, kMappingFlagValid), 10));
      EXPECT_FALSE(accepts(Mapping(10, kMappingFlagValid), 10)) << "beyond the origin";
      EXPECT_FALSE(accepts(Mapping(5, kMappingFlagValid | kMappingFlagDirty), 10)) << "a flag of version 1";
      EXPECT_FALSE(accepts(Mapping(5, 0), 10)) << "neither zero nor mapped";
      EXPECT_FALSE(accepts(kMappingFlagDirty, 10));
      EXPECT_TRUE(accepts(Mapping((uint64_t{1} << 48) - 1, kMappingFlagValid), ~uint64_t{0}));
    }
  }
}

TEST(MappingWordsTest, TellsWhatIsBehindTheLastOblock) {
  MappingWords read;
  const std::vector<uint64_t> words = {Mapping(7, kMappingFlagValid), 0, Mapping(9, kMappingFlagValid)};
  ASSERT_TRUE(read.Read(BlockOf(words).span(), words.size(), Version2(10)));
  EXPECT_EQ(read.entries(), 3u);
  EXPECT_EQ(read.EndAbove(0), 10u);
  EXPECT_EQ(read.EndAbove(9), 10u);
  EXPECT_EQ(read.EndAbove(10), 10u);
  EXPECT_EQ(read.EndAbove(uint64_t{1} << 48), uint64_t{1} << 48);
  const std::vector<uint64_t> last = {Mapping((uint64_t{1} << 48) - 1, kMappingFlagValid)};
  ASSERT_TRUE(read.Read(BlockOf(last).span(), 1, Version2(uint64_t{1} << 48)));
  EXPECT_EQ(read.EndAbove(5), uint64_t{1} << 48);
  ASSERT_TRUE(read.Read(BlockOf(std::vector<uint64_t>{0}).span(), 1, Version2(10)));
  EXPECT_EQ(read.EndAbove(0), 0u);
}

}  // namespace
}  // namespace dmcached
