#include "core/store/bulk_writer.h"

#include <gtest/gtest.h>

#include "core/store/packed_array.h"
#include "tests/core/store/store_fixture.h"

namespace dmcached {
namespace {

BulkBlock Zeros(uint64_t location, uint32_t entries = 3) {
  return {.location = MetadataBlock(location), .entries = entries, .contents = nullptr};
}

class BulkWriterTest : public testing::Test {
 protected:
  void Write(std::vector<BulkBlock> blocks) { ASSERT_THAT(WriteBulk(device_, blocks), IsOk()); }
  AlignedBuffer Read(uint64_t block) {
    AlignedBuffer buffer(kMetadataBlockBytes);
    EXPECT_THAT(device_.Read(block * kMetadataBlockBytes, buffer.span()), IsOk());
    return buffer;
  }

  RecordingDevice device_{1024 * kMetadataBlockBytes};
};

TEST_F(BulkWriterTest, NeighboursAreWrittenTogetherWhateverTheirOrder) {
  Write({Zeros(12), Zeros(10), Zeros(30), Zeros(11)});
  EXPECT_THAT(device_.log, testing::ElementsAre("w10+3", "w30+1"));
}

TEST_F(BulkWriterTest, OneWriteIsAtMostOneMebibyte) {
  std::vector<BulkBlock> blocks;
  for (uint64_t i = 0; i < 600; ++i) blocks.push_back(Zeros(100 + i));
  Write(blocks);
  EXPECT_THAT(device_.log, testing::ElementsAre("w100+256", "w356+256", "w612+88"));
}

TEST_F(BulkWriterTest, BlocksOfZerosAreSealedArrayBlocks) {
  Write({Zeros(10, 509), {.location = MetadataBlock(11), .value_size = 4, .entries = 1000, .contents = nullptr}});
  for (const uint64_t location : {10u, 11u}) {
    const AlignedBuffer block = Read(location);
    EXPECT_THAT(CheckBlock(BlockType::kArrayBlock, MetadataBlock(location), block.span()), IsOk());
    EXPECT_THAT(
        CheckArrayHeader(MetadataBlock(location), location == 10 ? 8 : 4, location == 10 ? 509 : 1000, block.span()),
        IsOk());
    for (size_t i = sizeof(DiskArrayBlockHeader); i < block.size(); ++i) ASSERT_EQ(block.data()[i], std::byte{0});
  }
}

// The staging buffer is used again for the next run.
TEST_F(BulkWriterTest, NothingOfAnEarlierRunIsLeftInABlockOfZeros) {
  auto contents = std::make_shared<AlignedBuffer>(kMetadataBlockBytes);
  std::fill_n(contents->data(), kMetadataBlockBytes, std::byte{0xAB});
  Write({{.location = MetadataBlock(5), .type = BlockType::kBtreeNode, .contents = contents}, Zeros(9)});
  const AlignedBuffer full = Read(5);
  EXPECT_THAT(CheckBlock(BlockType::kBtreeNode, MetadataBlock(5), full.span()), IsOk());
  EXPECT_EQ(full.data()[4000], std::byte{0xAB});
  EXPECT_EQ(Read(9).data()[4000], std::byte{0});
}

TEST_F(BulkWriterTest, FailedWriteIsReported) {
  FaultyDevice faulty(64 * kMetadataBlockBytes, {.fail_write = 1});
  std::vector<BulkBlock> blocks = {Zeros(5), Zeros(9)};
  EXPECT_THAT(WriteBulk(faulty, blocks), HasReasonIs(Reason::kIoError));
}

}  // namespace
}  // namespace dmcached
