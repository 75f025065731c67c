#include "core/store/frame_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "core/format/layout.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

TEST(FramePoolTest, BlocksAreAlignedAndTheirOwn) {
  FramePool pool;
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 1200; ++i) {  // More than two chunks.
    blocks.push_back(pool.Take());
    ASSERT_EQ(reinterpret_cast<uintptr_t>(blocks.back()) % kMetadataBlockBytes, 0u);
    std::memset(blocks.back(), i % 256, kMetadataBlockBytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    const auto expected = static_cast<std::byte>(i % 256);
    ASSERT_TRUE(std::all_of(blocks[i], blocks[i] + kMetadataBlockBytes, [&](std::byte b) { return b == expected; }));
    pool.GiveBack(blocks[i]);
  }
}

TEST(FramePoolTest, WhatIsGivenBackIsHandedOutAgain) {
  FramePool pool;
  Random random;
  std::set<std::byte*> ever;
  std::vector<std::byte*> held;
  for (int step = 0; step < 20000; ++step) {
    if (held.size() < 700 && random.OneIn(2)) {
      held.push_back(pool.Take());
      ever.insert(held.back());
      ASSERT_EQ(std::count(held.begin(), held.end(), held.back()), 1) << "nobody else has it";
    } else if (!held.empty()) {
      std::swap(held[random.Below(held.size())], held.back());
      pool.GiveBack(held.back());
      held.pop_back();
    }
  }
  EXPECT_LE(ever.size(), 2048u) << "four chunks for 700 blocks";
  for (std::byte* block : held) pool.GiveBack(block);
}

}  // namespace
}  // namespace dmcached
