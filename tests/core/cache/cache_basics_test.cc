// The thin end: format, insert, commit, open again, on both versions and around every boundary of an array block.
#include <gtest/gtest.h>

#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

class CacheBasicsTest : public testing::TestWithParam<std::tuple<uint32_t, uint32_t>> {
 protected:
  uint32_t version() const { return std::get<0>(GetParam()); }
  uint32_t size() const { return std::get<1>(GetParam()); }
};

TEST_P(CacheBasicsTest, WhatWasCommittedIsThereAfterAReopen) {
  TestCache cache(2048);
  ASSERT_THAT(cache.Format(version(), size(), 1 << 20), IsOk());
  ExpectSound(cache);
  Mappings expected;
  for (uint32_t cblock = 0; cblock < size(); cblock += 1 + size() / 100) {
    const uint64_t oblock = 3 * uint64_t{cblock} + 1;
    const bool dirty = cblock % 3 == 0;
    ASSERT_THAT(cache.Insert({cblock}, {oblock}, {dirty}), IsOk());
    expected[cblock] = {oblock, dirty};
  }
  if (size() > 0) {
    EXPECT_EQ(cache->changed(), true);
  }
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache->changed(), false);
  EXPECT_EQ(cache.Load(), expected);
  ExpectSound(cache);
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache->adopted(), false);
  EXPECT_EQ(cache.Load(), expected);
  EXPECT_EQ(cache->mapped_blocks(), expected.size());
}

TEST_P(CacheBasicsTest, EveryCblockMappedRemovedAndMappedAgain) {
  TestCache cache(4096);
  ASSERT_THAT(cache.Format(version(), size(), 1 << 20), IsOk());
  std::vector<uint32_t> cblocks(size());
  std::vector<uint64_t> oblocks(size());
  for (uint32_t i = 0; i < size(); ++i) {
    cblocks[i] = i;
    oblocks[i] = (uint64_t{i} * 7919) % 1000003;
  }
  ASSERT_THAT(cache.Insert(cblocks, oblocks), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache->free_cblocks(), 0u);
  ASSERT_THAT(cache.MarkDirty(cblocks), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache->dirty_blocks(), size());
  ExpectSound(cache);
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache->dirty_blocks(), size());
  ASSERT_THAT(cache.Remove(cblocks, oblocks, /*discard_dirty=*/true), IsOk());
  EXPECT_EQ(cache->free_cblocks(), 0u) << "the removal is not durable yet";
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache->free_cblocks(), size());
  ExpectSound(cache);
  ASSERT_THAT(cache.Insert(cblocks, oblocks), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache->dirty_blocks(), 0u);
  ExpectSound(cache);
}

INSTANTIATE_TEST_SUITE_P(Sizes, CacheBasicsTest,
                         testing::Combine(testing::Values(1u, 2u),
                                          testing::Values(0u, 1u, 63u, 64u, 65u, 508u, 509u, 510u, 1018u, 1019u, 32575u,
                                                          32576u, 32577u)));

}  // namespace
}  // namespace dmcached
