#include "core/base/equal_bytes.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/random.h"

namespace dmcached {
namespace {

TEST(EqualBytesTest, SaysWhichBytesHaveTheValueOnEveryProcessor) {
  Random random;
  for (const uint64_t values : {2u, 256u}) {
    for (int round = 0; round < 20000; ++round) {
      std::array<std::byte, 16> bytes;
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Below(values) * (values == 2 ? 128 : 1));
      const auto value = static_cast<uint8_t>(random.Below(values) * (values == 2 ? 128 : 1));
      uint32_t expected = 0;
      for (size_t i = 0; i < bytes.size(); ++i) expected |= (bytes[i] == std::byte{value} ? 1u : 0u) << i;
      ASSERT_EQ(EqualBytes(bytes.data(), value), expected);
      ASSERT_EQ(EqualBytesPortable(bytes.data(), value), expected);
    }
  }
}

}  // namespace
}  // namespace dmcached
