#include "core/cache/duplicate_finder.h"

#include <gtest/gtest.h>

#include <vector>

namespace dmcached {
namespace {

TEST(DuplicateFinderTest, NamesTheFirstItemThatWasThereBefore) {
  DuplicateFinder finder;
  auto find = [&](const std::vector<uint64_t>& items) { return finder.Find(std::span<const uint64_t>(items)); };
  EXPECT_EQ(find({}), std::nullopt);
  EXPECT_EQ(find({0, 1, 2}), std::nullopt);
  EXPECT_EQ(find({0, 1, 0}), 2u);
  EXPECT_EQ(find({5, 6, 7, 6, 5}), 3u);
  EXPECT_EQ(find({1, 0}), std::nullopt) << "nothing is remembered";
}

TEST(DuplicateFinderTest, NothingIsRememberedHoweverManyRequestsAgo) {
  const std::vector<uint64_t> items = {7, 8, 9};
  for (int between = 65533; between < 65538; ++between) {  // Requests are told apart by 16 bits.
    DuplicateFinder finder;
    ASSERT_EQ(finder.Find(std::span<const uint64_t>(items)), std::nullopt);
    for (int request = 0; request < between; ++request)
      ASSERT_EQ(finder.Find(std::span<const uint64_t>()), std::nullopt);
    EXPECT_EQ(finder.Find(std::span<const uint64_t>(items)), std::nullopt) << between;
  }
}

TEST(DuplicateFinderTest, ManyItemsThatHashAlike) {
  DuplicateFinder finder;
  std::vector<uint32_t> items;
  for (uint32_t i = 0; i < 65536; ++i) items.push_back(i << 16 | i >> 16);
  EXPECT_EQ(finder.Find(std::span<const uint32_t>(items)), std::nullopt);
  items.back() = items[12345];
  EXPECT_EQ(finder.Find(std::span<const uint32_t>(items)), 65535u);
}

}  // namespace
}  // namespace dmcached
