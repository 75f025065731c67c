// checksum_errors counts every block whose check failed, by its kind, wherever the damage was met.
#include <gtest/gtest.h>

#include "core/format/layout.h"
#include "core/format/seal.h"
#include "tests/core/cache/cache_fixture.h"

namespace dmcached {
namespace {

using Counts = std::array<uint64_t, kBlockKinds>;  // superblock, index, array, bitmap, space-map index

class FailedChecksTest : public testing::Test {
 protected:
  FailedChecksTest() {
    EXPECT_THAT(cache_.Format(2, 1000, 10000), IsOk());
    EXPECT_THAT(cache_.Insert({1}, {10}), IsOk());
    EXPECT_THAT(cache_.Commit(), IsOk());
    superblock_ = cache_.OnMedium();
  }
  // Turns one byte of a block over, and back when called again.
  void Turn(MetadataBlock block) {
    AlignedBuffer bytes(kMetadataBlockBytes);
    ASSERT_THAT(cache_.device().Read(BlockOffsetBytes(block), bytes.span()), IsOk());
    bytes.span()[100] ^= std::byte{1};
    ASSERT_THAT(cache_.device().Write(BlockOffsetBytes(block), bytes.span()), IsOk());
    ASSERT_THAT(cache_.device().Flush(), IsOk());
  }
  MetadataBlock FirstBitmap() {
    AlignedBuffer bytes(kMetadataBlockBytes);
    EXPECT_THAT(cache_.device().Read(BlockOffsetBytes(superblock_.space_map.index_block), bytes.span()), IsOk());
    return MetadataBlock(DiskView<DiskIndexBlock>(bytes.span()).entries[0].blocknr.load());
  }
  Counts Counted() const {
    Counts counts;
    for (size_t kind = 0; kind < kBlockKinds; ++kind) counts[kind] = cache_.counters().checksum_errors[kind].load();
    return counts;
  }
  // What one failed open with that block damaged adds.
  Counts CountedWith(MetadataBlock damaged) {
    const Counts before = Counted();
    Turn(damaged);
    EXPECT_FALSE(cache_.Open().ok());
    Turn(damaged);
    Counts added = Counted();
    for (size_t kind = 0; kind < kBlockKinds; ++kind) added[kind] -= before[kind];
    return added;
  }

  TestCache cache_;
  Superblock superblock_;
};

TEST_F(FailedChecksTest, AnOpenCountsWhatItRefusesByKind) {
  const MetadataBlock array_block(cache_->store().array(ArrayKind::kMappings).slot(0).location);
  EXPECT_EQ(CountedWith(MetadataBlock(0)), (Counts{1, 0, 0, 0, 0}));
  EXPECT_EQ(CountedWith(superblock_.mapping_root), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(CountedWith(superblock_.dirty_root), (Counts{0, 1, 0, 0, 0}));
  EXPECT_EQ(CountedWith(array_block), (Counts{0, 0, 1, 0, 0}));
  EXPECT_EQ(CountedWith(FirstBitmap()), (Counts{0, 0, 0, 1, 0}));
  EXPECT_EQ(CountedWith(superblock_.space_map.index_block), (Counts{0, 0, 0, 0, 1}));
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(Counted(), (Counts{1, 2, 1, 1, 1})) << "a sound open counts nothing";
}

TEST_F(FailedChecksTest, AReadOnlyOpenCountsWhatItPassesOver) {
  Turn(MetadataBlock(cache_->store().array(ArrayKind::kMappings).slot(0).location));
  OpenParams params;
  params.read_only = true;
  ASSERT_THAT(cache_.Open(params), IsOk());
  EXPECT_EQ(Counted(), (Counts{0, 0, 1, 0, 0}));
}

TEST_F(FailedChecksTest, OtherErrorsAreNoFailedChecks) {
  PatchSuperblock(cache_.device(), [](Superblock& superblock) { superblock.needs_check = true; });
  EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_EQ(Counted(), Counts{});
}

TEST_F(FailedChecksTest, AReadOnlyOpenOfUncleanMetadataIsAnUncleanOpen) {
  OpenParams params;
  params.read_only = true;
  ASSERT_THAT(cache_.Open(params), IsOk());
  EXPECT_EQ(cache_.counters().unclean_opens.load(), 0u);
  PatchSuperblock(cache_.device(), [](Superblock& superblock) { superblock.clean_shutdown = false; });
  ASSERT_THAT(cache_.Open(params), IsOk());
  EXPECT_EQ(cache_.counters().unclean_opens.load(), 1u);
}

}  // namespace
}  // namespace dmcached
