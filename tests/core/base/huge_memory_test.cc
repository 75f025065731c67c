#include "core/base/huge_memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <utility>

namespace dmcached {
namespace {

TEST(HugeMemoryTest, IsZeroAndAlignedAndAsLongAsAsked) {
  for (const size_t size : {size_t{1}, size_t{4097}, HugeMemory::kHugePageBytes - 1, HugeMemory::kHugePageBytes,
                            3 * HugeMemory::kHugePageBytes + 5}) {
    const HugeMemory memory(size);
    ASSERT_EQ(memory.size_bytes(), size);
    const size_t alignment = size < HugeMemory::kHugePageBytes ? 4096 : HugeMemory::kHugePageBytes;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data()) % alignment, 0u) << size;
    EXPECT_TRUE(std::all_of(memory.data(), memory.data() + size, [](std::byte b) { return b == std::byte{0}; }));
    std::fill_n(memory.data(), size, std::byte{1});
  }
}

TEST(HugeMemoryTest, PopulatingKeepsWhatIsThere) {
  const HugeMemory memory(HugeMemory::kHugePageBytes + 9000);
  memory.data()[5000] = std::byte{7};
  memory.Populate(4097, 10);
  memory.Populate(0, memory.size_bytes());
  EXPECT_EQ(memory.data()[5000], std::byte{7});
  EXPECT_EQ(memory.data()[memory.size_bytes() - 1], std::byte{0});
  HugeMemory().Populate(0, 0);
}

TEST(HugeMemoryTest, MovesTakeTheMemoryAlong) {
  EXPECT_EQ(HugeMemory().data(), nullptr);
  HugeMemory first(5000);
  first.data()[4999] = std::byte{7};
  HugeMemory second = std::move(first);
  EXPECT_EQ(second.data()[4999], std::byte{7});
  HugeMemory third;
  third = std::move(second);
  EXPECT_EQ(third.size_bytes(), 5000u);
  EXPECT_EQ(third.data()[4999], std::byte{7});
}

// Also where pages are larger than 4 KiB.
TEST(HugeMemoryTest, WhatWasMappedIsGivenBack) {
  const auto mapped_pages = [] {
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    return pages;
  };
  constexpr uint64_t kTimes = 1000;
  const uint64_t before = mapped_pages();
  ASSERT_GT(before, 0u);
  for (uint64_t i = 0; i < kTimes; ++i) HugeMemory(HugeMemory::kHugePageBytes + 1);
  EXPECT_LT(mapped_pages(), before + 10 * kTimes);  // An emulator maps some itself.
}

}  // namespace
}  // namespace dmcached
