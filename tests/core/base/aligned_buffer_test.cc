#include "core/base/aligned_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>

namespace dmcached {
namespace {

TEST(AlignedBufferTest, BytesAreAlignedAndZero) {
  for (const size_t size : {size_t{1}, size_t{4096}, size_t{4097}, size_t{1} << 20}) {
    SCOPED_TRACE(size);
    AlignedBuffer buffer(size);
    EXPECT_EQ(buffer.size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0u);
    EXPECT_TRUE(std::all_of(buffer.span().begin(), buffer.span().end(), [](std::byte b) { return b == std::byte{0}; }));
  }
}

TEST(AlignedBufferTest, MovingLeavesAnEmptyBuffer) {
  AlignedBuffer from(8192);
  from.data()[8191] = std::byte{7};
  AlignedBuffer to = std::move(from);
  EXPECT_EQ(to.size(), 8192u);
  EXPECT_EQ(to.data()[8191], std::byte{7});
  EXPECT_EQ(from.size(), 0u);  // NOLINT(bugprone-use-after-move): that is the claim.
  from = std::move(to);
  EXPECT_EQ(from.size(), 8192u);
}

}  // namespace
}  // namespace dmcached
