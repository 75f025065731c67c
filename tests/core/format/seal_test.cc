#include "core/format/seal.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "core/base/crc32c.h"
#include "core/base/le.h"
#include "core/format/layout.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

constexpr BlockType kTypes[] = {BlockType::kSuperblock, BlockType::kBtreeNode, BlockType::kArrayBlock,
                                BlockType::kSpaceMapIndex, BlockType::kSpaceMapBitmap};

size_t LocationOffset(BlockType type) { return type == BlockType::kArrayBlock ? 16 : 8; }

std::vector<std::byte> SealedBlock(BlockType type, uint64_t location) {
  std::vector<std::byte> block(kMetadataBlockBytes);
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>((i * 37 + 11) & 0xFF);
  SealBlock(type, MetadataBlock(location), block);
  return block;
}

class SealTest : public testing::TestWithParam<BlockType> {};

TEST_P(SealTest, SealedBlockPasses) {
  for (const uint64_t location : {uint64_t{0}, uint64_t{81}, kMaxMetadataBlocks - 1}) {
    const std::vector<std::byte> block = SealedBlock(GetParam(), location);
    EXPECT_THAT(CheckBlock(GetParam(), MetadataBlock(location), block), IsOk());
    EXPECT_EQ(LoadLe<uint64_t>(block.data() + LocationOffset(GetParam())), location);
  }
}

TEST_P(SealTest, SealingAgainChangesNothing) {
  const std::vector<std::byte> block = SealedBlock(GetParam(), 5);
  std::vector<std::byte> again = block;
  SealBlock(GetParam(), MetadataBlock(5), again);
  EXPECT_EQ(again, block);
}

TEST_P(SealTest, AnyDamagedByteIsFound) {
  const std::vector<std::byte> block = SealedBlock(GetParam(), 81);
  for (size_t i = 0; i < block.size(); ++i) {
    std::vector<std::byte> damaged = block;
    damaged[i] ^= std::byte{0x10};
    const absl::Status status = CheckBlock(GetParam(), MetadataBlock(81), damaged);
    const bool in_location = i >= LocationOffset(GetParam()) && i < LocationOffset(GetParam()) + 8;
    ASSERT_THAT(status, StatusIs(absl::StatusCode::kDataLoss)) << "byte " << i;
    ASSERT_EQ(CauseOf(status), in_location ? ENOTBLK : EILSEQ) << "byte " << i;
  }
}

TEST_P(SealTest, BlockOfAnotherTypeFails) {
  for (const BlockType other : kTypes) {
    if (other == GetParam()) continue;
    // The location is put where the other type expects it, so that only the salt tells them apart.
    std::vector<std::byte> block(kMetadataBlockBytes);
    StoreLe<uint64_t>(block.data() + LocationOffset(other), 7);
    SealBlock(GetParam(), MetadataBlock(7), block);
    EXPECT_THAT(CheckBlock(other, MetadataBlock(7), block), CauseIs(EILSEQ)) << BlockTypeName(other);
  }
}

TEST_P(SealTest, BlockWrittenElsewhereIsCalledThat) {
  const absl::Status status = CheckBlock(GetParam(), MetadataBlock(81), SealedBlock(GetParam(), 17));
  EXPECT_THAT(status, CauseIs(ENOTBLK));
  EXPECT_EQ(status.message(), std::string(BlockTypeName(GetParam())) + " 81: stored location 17");
}

TEST_P(SealTest, ZerosAreNoBlock) {
  EXPECT_FALSE(CheckBlock(GetParam(), MetadataBlock(0), std::vector<std::byte>(kMetadataBlockBytes)).ok());
}

INSTANTIATE_TEST_SUITE_P(AllTypes, SealTest, testing::ValuesIn(kTypes), [](const auto& instance) {
  std::string name;
  for (const char c : std::string(BlockTypeName(instance.param))) name += std::isalnum(c) != 0 ? c : '_';
  return name;
});

// From the format's own words, with no constant of ours: bytes 4..4095, no final inversion, XOR salt.
TEST(SealChecksumTest, SuperblockSaltIsXoredToTheRawRegister) {
  const std::vector<std::byte> block = SealedBlock(BlockType::kSuperblock, 0);
  const uint32_t raw = RawCrc32c(std::span<const std::byte>(block).subspan(4));
  EXPECT_EQ(LoadLe<uint32_t>(block.data()) ^ raw, 0x0089D129u);
}

TEST(SealMessageTest, ChecksumErrorNamesTypeBlockAndBothValues) {
  std::vector<std::byte> block = SealedBlock(BlockType::kBtreeNode, 81);
  StoreLe<uint32_t>(block.data(), 0xABCu);
  const std::string message(CheckBlock(BlockType::kBtreeNode, MetadataBlock(81), block).message());
  EXPECT_THAT(message, HasSubstr("btree node 81: stored checksum 0xabc, computed 0x"));
}

}  // namespace
}  // namespace dmcached
