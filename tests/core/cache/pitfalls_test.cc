// FORMAT.md section 10, known bugs of older implementations: one test each for those that this design could have.
// core/README.md section 7 says why each other one cannot occur.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "core/cache/snapshot_reader.h"
#include "core/store/space_map.h"
#include "tests/core/cache/cache_fixture.h"
#include "tests/support/manual_clock.h"

namespace dmcached {
namespace {

class PitfallTest : public VersionTest {
 protected:
  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(PitfallTest);

TEST(PitfallOnceTest, Pitfall1_MagicIsOctal) {
  TestCache cache;
  ASSERT_THAT(cache.Format(2, 10), IsOk());
  const std::vector<std::byte> image = cache.device().Image();
  EXPECT_EQ(LoadLe<uint64_t>(image.data() + 32), 0x18C403u);
  EXPECT_NE(LoadLe<uint64_t>(image.data() + 32), 6142003u);
}

TEST_P(PitfallTest, Pitfall2_ClearingTheDirtyFlagClearsIt) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({7}, {70}, {true}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.ClearDirty({7}, {70}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(ReadOnly()), IsOk());
  EXPECT_EQ(cache_.Load(), (Mappings{{7, {70, false}}}));
}

TEST_P(PitfallTest, Pitfall3_HintSizeReachesTheDisk) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({7}, {70}), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.SaveHints({7}, {9}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_.OnMedium().policy_hint_size, 4u);
  ASSERT_THAT(cache_.Open(), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_.OnMedium().policy_hint_size, 4u);
  EXPECT_EQ(cache_.LoadHints().at(7), 9u);
}

TEST_P(PitfallTest, Pitfall4_ShrinkOverDirtyBlocksIsRefused) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({99}, {70}, {true}), IsOk());
  EXPECT_THAT(cache_.Resize(99), HasReasonIs(Reason::kDirtyBlocks));
  EXPECT_EQ(cache_.Load().size(), 1u);
}

TEST_P(PitfallTest, Pitfall5_AnotherDataBlockSizeIsRefused) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  OpenParams params;
  params.expected_block_size = Sectors(128);
  EXPECT_THAT(cache_.Open(params), HasReasonIs(Reason::kGeometryMismatch));
  params.expected_block_size = kBlockSize;
  EXPECT_THAT(cache_.Open(params), IsOk());
}

TEST_P(PitfallTest, Pitfall6_UnknownVersionIsRefused) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  for (const uint32_t unknown : {0u, 3u}) {
    AlignedBuffer block(kMetadataBlockBytes);
    ASSERT_THAT(cache_.device().Read(0, block.span()), IsOk());
    StoreLe(block.data() + 40, unknown);
    SealBlock(BlockType::kSuperblock, MetadataBlock(0), block.span());
    ASSERT_THAT(cache_.device().Write(0, block.span()), IsOk());
    EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kUnsupportedVersion));
    EXPECT_THAT(cache_.Open(ReadOnly()), HasReasonIs(Reason::kUnsupportedVersion));
  }
}

TEST_P(PitfallTest, Pitfall7_HintsOfAnotherPolicyVersionDoNotCount) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({7}, {70}), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq", {2, 0, 0}), IsOk());
  EXPECT_EQ(cache_.LoadHints(HintPolicy{"smq", {2, 0, 0}}).size(), 1u);
  EXPECT_TRUE(cache_.LoadHints(HintPolicy{"smq", {1, 0, 0}}).empty());
}

TEST_P(PitfallTest, Pitfall8_HintArrayShorterThanTheCacheIsReadToItsEndOnly) {
  ASSERT_THAT(cache_.Format(version(), 1500), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.Insert({99, 100, 1499}, {1, 2, 3}), IsOk());
  ASSERT_THAT(cache_.SaveHints({99, 100, 1499}, {5, 6, 7}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  // As the kernel leaves it after a grow: the last block ends before the cache does.
  PatchArray(cache_, ArrayKind::kHints, 1,
             [](std::span<std::byte> block) { MutableDiskView<DiskArrayBlockHeader>(block).nr_entries.store(82); });
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_->store().array(ArrayKind::kHints).entries(), 1100u);
  EXPECT_EQ(cache_.LoadHints(), (std::map<uint32_t, uint32_t>{{99, 5}, {100, 6}})) << "1499 has none";
  EXPECT_EQ(cache_.LookupCblocks({1499})->front().hint, 0u);
  const ManualClock clock;
  SnapshotReader reader({.device = cache_->device(),
                         .snapshot = cache_->store().TakeSnapshot(),
                         .incarnation = 1,
                         .assume_all_dirty = false,
                         .on_damage = {}},
                        clock);
  EXPECT_THAT(reader.ReadHints({}, Cblock(0), 2000)->cblocks, testing::ElementsAre(99, 100));
  // The next hint write extends it with zeros.
  ASSERT_THAT(cache_.SaveHints({1200}, {8}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_->store().array(ArrayKind::kHints).entries(), 1500u);
  EXPECT_EQ(cache_.LoadHints().at(1499), 0u);
  ExpectSound(cache_);
}

TEST(PitfallOnceTest, Pitfall12_EveryBlockIsSeenWhereTheLastBitmapIsExactlyFull) {
  for (const uint64_t blocks : {kEntriesPerBitmap, 2 * kEntriesPerBitmap}) {
    SpaceMap map = SpaceMap::Create(blocks);
    uint64_t found = 1;  // Block 0.
    bool last = false;
    while (map.allocatable_blocks() > 0) {
      last = map.Allocate()->value() == blocks - 1 || last;
      ++found;
    }
    EXPECT_EQ(found, blocks);
    EXPECT_TRUE(last);
  }
}

TEST_P(PitfallTest, Pitfall15_SuperblockNamesTheSpaceMapOfItsOwnCommit) {
  ASSERT_THAT(cache_.Format(version(), 2000), IsOk());
  for (uint32_t i = 0; i < 20; ++i) {
    ASSERT_THAT(cache_.Insert({i * 100}, {i}), IsOk());
    ASSERT_THAT(cache_.Commit(), IsOk());
    ExpectSound(cache_);  // Every block in use is used in the map on the medium, and counted.
  }
}

TEST_P(PitfallTest, Pitfall21_CacheOfNoBlocksIsAllClean) {
  ASSERT_THAT(cache_.Format(version(), 0), IsOk());
  EXPECT_EQ(cache_->dirty_blocks(), 0u);
  EXPECT_TRUE(cache_.Load().empty());
  ASSERT_THAT(cache_.Open(Conservative()), IsOk());
  ASSERT_THAT(cache_.Commit(true), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_THAT(cache_.Resize(0), IsOk());
  ExpectSound(cache_);
}

TEST_P(PitfallTest, Pitfall23_SizesAreComputedIn64Bits) {
  FormatParams params = Params(version(), 8192);
  params.data_block_size = Sectors(2097152);         // 2^21 sectors: 2^34 in all.
  params.fast_size = Sectors(uint64_t{8191} << 21);  // One block too few; modulo 2^32 both are 0.
  EXPECT_THAT(cache_.Format(params), HasReasonIs(Reason::kGeometryMismatch));
  params.fast_size = Sectors(uint64_t{8192} << 21);
  ASSERT_THAT(cache_.Format(params), IsOk());
  EXPECT_THAT(cache_.Resize(8193), HasReasonIs(Reason::kGeometryMismatch));
  OpenParams open;
  open.fast_size = Sectors(uint64_t{8191} << 21);
  EXPECT_THAT(cache_.Open(open), HasReasonIs(Reason::kGeometryMismatch));
  ASSERT_THAT(cache_.Open(), IsOk());
  ASSERT_THAT(cache_.Insert({0}, {kMaxOblocks - 1}), IsOk());
  EXPECT_TRUE(cache_.LookupOblocks({kMaxOblocks - 1})->front().mapped);
  cache_->UpdateGauges();
  EXPECT_EQ(cache_.counters().cache_size_bytes.load(), uint64_t{8192} << 30);
}

// The kernel drops such clean mappings silently; we refuse, whatever their dirtiness.
TEST_P(PitfallTest, Pitfall25_OriginShorterThanAMappedOblockIsRefused) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({1}, {500}, {true}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  OpenParams params;
  params.origin_size = Sectors(500 * 64 + 63);  // Oblock 500 is not whole.
  EXPECT_THAT(cache_.Open(params), HasReasonIs(Reason::kGeometryMismatch));
  params.origin_size = Sectors(501 * 64);
  ASSERT_THAT(cache_.Open(params), IsOk());
  EXPECT_EQ(cache_.Load().size(), 1u);
}

TEST_P(PitfallTest, Pitfall26_FailedOpenLeavesNothingToTheNextOne) {
  ASSERT_THAT(cache_.Format(version(), 2000), IsOk());
  ASSERT_THAT(cache_.Insert({1, 1999}, {10, 20}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  const uint64_t before = cache_.device().reads();
  ASSERT_THAT(cache_.Open(), IsOk());
  const uint64_t reads = cache_.device().reads() - before;
  for (uint64_t read = 0; read < reads; ++read) {
    cache_.device().SetFaults({.fail_read = cache_.device().reads() + read});
    EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kIoError)) << "read " << read;
  }
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_.Load().size(), 2u);
}

TEST_P(PitfallTest, Pitfall26a_NoHintArrayIsEverEmpty) {
  ASSERT_THAT(cache_.Format(version(), 0), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_.OnMedium().hint_root.value(), 0u);
  ASSERT_THAT(cache_.Resize(10), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_NE(cache_.OnMedium().hint_root.value(), 0u);
  // As a foreign writer left it: an index without blocks.
  TestCache foreign;
  ASSERT_THAT(foreign.Format(version(), 10), IsOk());
  ASSERT_THAT(foreign.BeginHints("smq"), IsOk());
  foreign->store().CreateArray(ArrayKind::kHints, 0, {});
  ASSERT_THAT(foreign.Commit(), IsOk());
  ASSERT_NE(foreign.OnMedium().hint_root.value(), 0u);
  ASSERT_THAT(foreign.Open(), IsOk());
  EXPECT_FALSE(foreign->hints_valid());
  EXPECT_TRUE(foreign->changed()) << "a close commits, also if nothing else happens";
  ASSERT_THAT(foreign.Insert({1}, {1}), IsOk());
  ASSERT_THAT(foreign.Commit(), IsOk());
  EXPECT_TRUE(foreign.OnMedium().clean_shutdown);
  EXPECT_EQ(foreign.OnMedium().hint_root.value(), 0u);
  ASSERT_THAT(foreign.BeginHints("smq"), IsOk());
  ASSERT_THAT(foreign.SaveHints({1}, {2}), IsOk());
  ASSERT_THAT(foreign.Commit(), IsOk());
  EXPECT_EQ(foreign.LoadHints().at(1), 2u);
  ExpectSound(foreign);
}

TEST_P(PitfallTest, Pitfall26b_IdentityIsTerminatedAndNeedsNoEscape) {
  FormatParams params = Params(version(), 10);
  for (const char* bad : {"sixteen-letters_", "a<b", "a&b", "a\"b", "a b"}) {
    params.identity = bad;
    EXPECT_THAT(cache_.Format(params), HasReasonIs(Reason::kInvalidRequest)) << bad;
  }
  params.identity = "fifteen.letters";
  ASSERT_THAT(cache_.Format(params), IsOk());
  EXPECT_EQ(cache_.OnMedium().uuid[15], std::byte{0});
}

TEST_P(PitfallTest, Pitfall27_CleanFlagIsClearedDurablyBeforeALazyMarkIsAcknowledged) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({1}, {10}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(Conservative()), IsOk());
  ASSERT_THAT(cache_.Commit(/*clean=*/true), IsOk());
  // The flag is set: whoever acknowledges must see that, and commit first.
  EXPECT_TRUE(cache_->clean_on_medium());
  ASSERT_THAT(cache_.MarkDirty({1}), IsOk());
  EXPECT_TRUE(cache_->clean_on_medium());
  EXPECT_TRUE(cache_->changed()) << "the commit is not skipped";
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_FALSE(cache_->clean_on_medium());
  TestCache after_crash(cache_.device().CrashImage(0));
  ASSERT_THAT(after_crash.Open(), IsOk());
  EXPECT_EQ(after_crash->dirty_blocks(), 1u);
}

TEST_P(PitfallTest, Pitfall28_ShrinkToABlockBoundaryDropsThePartialTail) {
  ASSERT_THAT(cache_.Format(version(), 600), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.Insert({550}, {1}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Resize(509), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_->store().array(ArrayKind::kMappings).slots().size(), 1u);
  EXPECT_TRUE(cache_.Load().empty());
  ExpectSound(cache_);
}

TEST_P(PitfallTest, Pitfall31_NeedsCheckIsFlushed) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  cache_->SetNeedsCheck();
  ASSERT_THAT(cache_.Commit(), IsOk());
  TestCache after_crash(cache_.device().CrashImage(0));
  EXPECT_TRUE(after_crash.OnMedium().needs_check);
}

TEST_P(PitfallTest, Pitfall32_AfterAFailedLastFlushEitherStateIsWhole) {
  bool old_seen = false;
  bool new_seen = false;
  for (uint64_t seed = 0; seed < 32; ++seed) {
    TestCache cache;
    ASSERT_THAT(cache.Format(version(), 100), IsOk());
    ASSERT_THAT(cache.Insert({1}, {10}), IsOk());
    cache.device().SetFaults({.fail_flush = cache.device().flushes() + 1});
    ASSERT_THAT(cache.Commit(), HasReasonIs(Reason::kIoError));
    EXPECT_TRUE(cache->commit_in_flight()) << "it never counts as finished";
    TestCache after(cache.device().CrashImage(seed));
    ASSERT_THAT(after.Open(), IsOk());
    (after.Load().empty() ? old_seen : new_seen) = true;
    ASSERT_THAT(after.Insert({5}, {50}), IsOk());
    ASSERT_THAT(after.Commit(), IsOk());
    ExpectSound(after);
  }
  EXPECT_TRUE(old_seen);
  EXPECT_TRUE(new_seen);
}

TEST_P(PitfallTest, Pitfall35_PolicyWithoutHintsLeavesNoArrayUnderItsName) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ASSERT_THAT(cache_.BeginHints("cleaner", {1, 0, 0}, 0), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  EXPECT_EQ(cache_.OnMedium().policy_name, "cleaner");
  EXPECT_EQ(cache_.OnMedium().policy_hint_size, 0u);
  EXPECT_EQ(cache_.OnMedium().hint_root.value(), 0u);
  ExpectSound(cache_);
}

TEST_P(PitfallTest, Pitfall36_ArrayHeadersAreCheckedAndUnmappedBlocksNeedNotBeClean) {
  ASSERT_THAT(cache_.Format(version(), 1000), IsOk());
  const std::vector<std::byte> sound = cache_.device().Image();
  const std::function<void(DiskArrayBlockHeader&)> changes[] = {
      [](DiskArrayBlockHeader& h) { h.value_size.store(4); },
      [](DiskArrayBlockHeader& h) { h.max_entries.store(510); },
      [](DiskArrayBlockHeader& h) { h.nr_entries.store(510); },
      [](DiskArrayBlockHeader& h) { h.nr_entries.store(508); },
  };
  for (const auto& change : changes) {
    TestCache cache(sound);
    ASSERT_THAT(cache.Open(), IsOk());
    PatchArray(cache, ArrayKind::kMappings, 0,
               [&](std::span<std::byte> block) { change(MutableDiskView<DiskArrayBlockHeader>(block)); });
    EXPECT_THAT(cache.Open(), CauseIs(EUCLEAN));
  }
  if (version() == 1) return;
  TestCache cache(sound);
  ASSERT_THAT(cache.Open(), IsOk());
  PatchArray(cache, ArrayKind::kDirty, 0, [](std::span<std::byte> block) { StoreLe(WordOf(block, 0), ~uint64_t{0}); });
  ASSERT_THAT(cache.Open(), IsOk());
  ASSERT_THAT(cache.Insert({3, 4}, {1, 2}, {false, true}), IsOk());
  EXPECT_EQ(cache.Load(), (Mappings{{3, {1, false}}, {4, {2, true}}}));
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

TEST_P(PitfallTest, Pitfall37_BitsPastTheEndDoNotBecomeRealWhenTheCacheGrows) {
  if (version() == 1) return;  // No dirty bitset.
  ASSERT_THAT(cache_.Format(2, 100), IsOk());
  PatchArray(cache_, ArrayKind::kDirty, 0, [](std::span<std::byte> block) {
    StoreLe(WordOf(block, 1), ~uint64_t{0} << 36);  // Bits 100 to 127.
    StoreLe(WordOf(block, 2), ~uint64_t{0});        // Past the last entry.
  });
  ASSERT_THAT(cache_.Open(), IsOk());
  ASSERT_THAT(cache_.Resize(150), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  AlignedBuffer block(kMetadataBlockBytes);
  const MetadataBlock location(cache_->store().array(ArrayKind::kDirty).slot(0).location);
  ASSERT_THAT(cache_.device().Read(BlockOffsetBytes(location), block.span()), IsOk());
  for (uint64_t word = 0; word < 3; ++word) EXPECT_EQ(LoadLe<uint64_t>(WordOf(block.span(), word)), 0u) << word;
  ASSERT_THAT(cache_.Insert({100, 149}, {1, 2}), IsOk());
  EXPECT_EQ(cache_->dirty_blocks(), 0u);
}

TEST_P(PitfallTest, Pitfall39_StraySetBitsNeitherCountNorRefuseAShrink) {
  if (version() == 1) return;  // No dirty bitset.
  ASSERT_THAT(cache_.Format(2, 100), IsOk());
  ASSERT_THAT(cache_.Insert({1}, {10}, {true}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  PatchArray(cache_, ArrayKind::kDirty, 0, [](std::span<std::byte> block) {
    StoreLe(WordOf(block, 0), ~uint64_t{0});
    StoreLe(WordOf(block, 1), ~uint64_t{0});
  });
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_->dirty_blocks(), 1u);
  ASSERT_THAT(cache_.Resize(50), IsOk());
  EXPECT_EQ(cache_.Load(), (Mappings{{1, {10, true}}}));
  ASSERT_THAT(cache_.Commit(), IsOk());
  ExpectSound(cache_);
}

TEST_P(PitfallTest, Pitfall41_HintsOfSizeZeroDoNotCountAndIncompatBitZeroIsRefused) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  ASSERT_THAT(cache_.Insert({1}, {10}), IsOk());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache_.SaveHints({1}, {5}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  PatchSuperblock(cache_.device(), [](Superblock& s) { s.policy_hint_size = 0; });  // As cache_restore 0.9.0 does.
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_FALSE(cache_->hints_valid());
  EXPECT_TRUE(cache_.LoadHints().empty());
  ASSERT_THAT(cache_.BeginHints("smq"), IsOk());
  EXPECT_EQ(cache_.LoadHints().at(1), 0u) << "begun anew";
  ASSERT_THAT(cache_.Commit(), IsOk());
  ExpectSound(cache_);
  PatchSuperblock(cache_.device(), [](Superblock& s) { s.incompat_flags = 1; });
  EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kUnsupportedFeature));
}

TEST_P(PitfallTest, Pitfall47_FreeCountsAndUnusedIndexEntriesOfOthersAreNotTrusted) {
  ASSERT_THAT(cache_.Format(version(), 100), IsOk());
  const MetadataBlock index = cache_.OnMedium().space_map.index_block;
  AlignedBuffer block(kMetadataBlockBytes);
  ASSERT_THAT(cache_.device().Read(BlockOffsetBytes(index), block.span()), IsOk());
  auto& entries = MutableDiskView<DiskIndexBlock>(block.span()).entries;
  entries[0].nr_free.store(0);  // "Nothing free"; the search would skip it.
  entries[0].none_free_before.store(16320);
  for (size_t i = 1; i < kMaxBitmaps; ++i) entries[i].blocknr.store(0xDEADBEEF);
  SealBlock(BlockType::kSpaceMapIndex, index, block.span());
  ASSERT_THAT(cache_.device().Write(BlockOffsetBytes(index), block.span()), IsOk());
  ASSERT_THAT(cache_.Open(), IsOk());
  EXPECT_EQ(cache_->free_metadata_blocks(), 256 - ReachableBlocks(cache_->store()));
  ASSERT_THAT(cache_.Insert({1}, {1}), IsOk());
  ASSERT_THAT(cache_.Commit(), IsOk());
  ExpectSound(cache_);
}

}  // namespace
}  // namespace dmcached
