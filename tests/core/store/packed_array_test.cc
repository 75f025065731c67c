#include "core/store/packed_array.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>

#include "tests/core/store/store_fixture.h"

namespace dmcached {
namespace {

class ArrayHeaderTest : public testing::Test {
 protected:
  absl::Status Check(uint32_t value_size, uint64_t entries) {
    return CheckArrayHeader(MetadataBlock(9), value_size, entries, block_.span());
  }
  DiskArrayBlockHeader& header() { return MutableDiskView<DiskArrayBlockHeader>(block_.span()); }

  AlignedBuffer block_{kMetadataBlockBytes};
};

TEST_F(ArrayHeaderTest, BothValueSizes) {
  InitArrayBlock(8, 509, block_.span());
  EXPECT_EQ(header().max_entries.load(), 509u);
  EXPECT_THAT(Check(8, 509), IsOk());
  InitArrayBlock(4, 1018, block_.span());
  EXPECT_EQ(header().max_entries.load(), 1018u);
  EXPECT_THAT(Check(4, 1018), IsOk());
  EXPECT_THAT(Check(8, 0), CauseIs(EUCLEAN));
}

TEST_F(ArrayHeaderTest, MoreEntriesThanNeededAreFine) {
  InitArrayBlock(8, 300, block_.span());
  EXPECT_THAT(Check(8, 299), IsOk());
  EXPECT_THAT(Check(8, 300), IsOk());
  EXPECT_THAT(Check(8, 301), CauseIs(EUCLEAN));
}

TEST_F(ArrayHeaderTest, EachWrongField) {
  InitArrayBlock(8, 300, block_.span());
  header().value_size.store(4);
  EXPECT_THAT(Check(8, 1), CauseIs(EUCLEAN));
  InitArrayBlock(8, 300, block_.span());
  header().max_entries.store(510);
  EXPECT_THAT(Check(8, 1), CauseIs(EUCLEAN));
  InitArrayBlock(8, 510, block_.span());
  const absl::Status status = Check(8, 1);
  EXPECT_THAT(status, CauseIs(EUCLEAN));
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("array block 9: "));
}

TEST(PackedArrayTest, BlocksAndEntriesAroundTheBoundaries) {
  const std::tuple<uint64_t, uint64_t, uint64_t> cases[] = {{1, 1, 1},   {508, 1, 508},  {509, 1, 509},
                                                            {510, 2, 1}, {1018, 2, 509}, {1019, 3, 1}};
  for (const auto& [entries, blocks, in_last] : cases) {
    const PackedArray array(ArrayKind::kMappings, 1, entries, {}, IndexTree::Build(blocks));
    EXPECT_EQ(array.blocks(), blocks) << entries;
    EXPECT_EQ(array.EntriesIn(blocks - 1), in_last) << entries;
  }
  const PackedArray hints(ArrayKind::kHints, 1, 1019, {}, IndexTree::Build(2));
  EXPECT_EQ(hints.value_size(), 4u);
  EXPECT_EQ(hints.blocks(), 2u);
  EXPECT_EQ(hints.EntriesIn(0), 1018u);
  EXPECT_EQ(hints.EntriesIn(1), 1u);
}

TEST(PackedArrayTest, ACopyHasEverythingButWhatTheSealIs) {
  AlignedBuffer from(kMetadataBlockBytes);
  for (size_t i = 0; i < from.size(); ++i) from.data()[i] = static_cast<std::byte>(i % 251 + 1);
  AlignedBuffer to(kMetadataBlockBytes);
  CopyUnsealed(from.span(), to.span());
  for (size_t i = 0; i < to.size(); ++i) {
    const bool sealed = i < 4 || (i >= 16 && i < 24);  // Checksum and location.
    ASSERT_EQ(to.data()[i], sealed ? std::byte{0} : from.data()[i]) << i;
  }
}

TEST(PackedArrayTest, WordsAreReadFromWhereTheFormatPutsThem) {
  TestStore store;
  ASSERT_THAT(store.Format(1019), IsOk());
  for (const uint64_t entry : {0u, 508u, 509u, 1017u, 1018u}) ASSERT_THAT(store.Put(entry, 1000 + entry), IsOk());
  ASSERT_THAT(store.Commit(), IsOk());
  AlignedBuffer block(kMetadataBlockBytes);
  ASSERT_THAT(store.device().Read(store.mappings().slot(1).location * kMetadataBlockBytes, block.span()), IsOk());
  EXPECT_EQ(LoadLe<uint64_t>(block.data() + 24), 1509u);
  EXPECT_EQ(LoadLe<uint64_t>(block.data() + 24 + 508 * 8), 2017u);
  ASSERT_THAT(store.Load(), IsOk());
  for (const uint64_t entry : {0u, 508u, 509u, 1017u, 1018u}) EXPECT_EQ(*store.Get(entry), 1000 + entry);
  EXPECT_EQ(*store.Get(1), 0u);
}

}  // namespace
}  // namespace dmcached
