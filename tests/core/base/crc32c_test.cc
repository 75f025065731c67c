#include "core/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dmcached {
namespace {

// Bit by bit from the definition: reflected polynomial 0x82F63B78.
uint32_t SlowRawCrc32c(std::span<const std::byte> bytes) {
  uint32_t crc = 0xFFFFFFFFu;
  for (const std::byte byte : bytes) {
    crc ^= std::to_integer<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
  }
  return crc;
}

TEST(Crc32cTest, RawValueInvertedIsThePublishedCheckValue) {
  const std::string digits = "123456789";
  EXPECT_EQ(~RawCrc32c(std::as_bytes(std::span(digits))), 0xE3069283u);
  const std::vector<std::byte> zeros(32);
  EXPECT_EQ(~RawCrc32c(zeros), 0x8A9136AAu);
}

TEST(Crc32cTest, NothingLeavesTheRegisterAsItBegan) { EXPECT_EQ(RawCrc32c({}), 0xFFFFFFFFu); }

TEST(Crc32cTest, EveryLengthAndOffsetAgreesWithTheDefinition) {
  std::vector<std::byte> bytes(4096 + 16);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>((i * 131 + i / 256) & 0xFF);
  for (const size_t length : {1, 7, 8, 9, 63, 64, 65, 255, 1024, 3000, 4092, 4096}) {
    for (size_t offset = 0; offset < 16; offset += 5) {
      const auto part = std::span<const std::byte>(bytes).subspan(offset, length);
      EXPECT_EQ(RawCrc32c(part), SlowRawCrc32c(part)) << length << " bytes at " << offset;
    }
  }
}

}  // namespace
}  // namespace dmcached
