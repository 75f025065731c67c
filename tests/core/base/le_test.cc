#include "core/base/le.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace dmcached {
namespace {

struct Pair {
  Le32 first;
  Le64 second;
};
static_assert(sizeof(Pair) == 12 && DiskStruct<Pair>);

TEST(LeTest, LowestByteComesFirst) {
  std::array<std::byte, 13> bytes{};
  StoreLe<uint64_t>(bytes.data() + 1, 0x0102030405060708u);
  EXPECT_EQ(bytes[1], std::byte{8});
  EXPECT_EQ(bytes[8], std::byte{1});
  EXPECT_EQ(LoadLe<uint64_t>(bytes.data() + 1), 0x0102030405060708u);
  EXPECT_EQ(LoadLe<uint16_t>(bytes.data() + 1), 0x0708u);
}

TEST(LeTest, SwappedBytesSwapBack) {
  EXPECT_EQ(le_internal::ByteSwapped<uint32_t>(0x01020304u), 0x04030201u);
  EXPECT_EQ(le_internal::ByteSwapped(le_internal::ByteSwapped(uint64_t{0xFEDCBA9876543210u})), 0xFEDCBA9876543210u);
}

TEST(LeTest, StructLiesOverABufferInPlace) {
  std::array<std::byte, 20> bytes{};
  Pair& pair = MutableDiskView<Pair>(bytes, 3);
  pair.first.store(0xAABBCCDDu);
  pair.second.store(1);
  EXPECT_EQ(bytes[3], std::byte{0xDD});
  EXPECT_EQ(bytes[7], std::byte{1});
  EXPECT_EQ(DiskView<Pair>(bytes, 3).first.load(), 0xAABBCCDDu);
  EXPECT_EQ(Le32(7).load(), 7u);
}

TEST(LeDeathTest, StructBeyondTheBufferDies) {
  std::array<std::byte, 12> bytes{};
  EXPECT_DEATH(DiskView<Pair>(bytes, 1), "broken invariant");
  EXPECT_DEATH(DiskView<Pair>(bytes, SIZE_MAX), "broken invariant");
}

}  // namespace
}  // namespace dmcached
