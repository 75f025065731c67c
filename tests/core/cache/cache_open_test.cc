// FORMAT.md 8.2 and 2.3: open or format, close, probe, abort, needs_check, read-only.
#include <gtest/gtest.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "tests/core/cache/cache_fixture.h"
#include "tests/core/store/store_fixture.h"
#include "tests/support/thread_per_task.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

class OpenOrFormatTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(OpenOrFormatTest);

TEST_P(OpenOrFormatTest, FormattedCacheIsEmptyCleanAndAsAsked) {
  TestCache cache;
  FormatParams params = Params(version(), 1000, 5000);
  params.policy_name = "smq";
  params.identity = "cache-7";
  ASSERT_THAT(cache.Format(params), IsOk());
  const Superblock found = cache.OnMedium();
  EXPECT_EQ(found.version, version());
  EXPECT_EQ(found.cache_blocks, 1000u);
  EXPECT_EQ(found.data_block_size, kBlockSize);
  EXPECT_EQ(found.policy_name, "smq");
  EXPECT_EQ(found.identity(), "cache-7");
  EXPECT_EQ(found.discard_block_size, kBlockSize);
  EXPECT_EQ(found.discard_blocks, 5000u);
  EXPECT_EQ(found.hint_root.value(), 0u);
  EXPECT_EQ(found.dirty_root.value() != 0, version() == 2);
  EXPECT_TRUE(found.clean_shutdown);
  EXPECT_FALSE(found.needs_check);
  EXPECT_TRUE(cache.Load().empty());
  ExpectSound(cache);
}

TEST_P(OpenOrFormatTest, OpenOfZerosIsNotFormatted) {
  TestCache cache;
  EXPECT_THAT(cache.Open(), HasReasonIs(Reason::kNotFormatted));
  EXPECT_EQ(cache.device().writes(), 0u);
}

TEST_P(OpenOrFormatTest, FormatRefusesADeviceWithDataUnlessForced) {
  TestCache cache;
  Tamper(cache.device(), 200, std::nullopt, [](std::span<std::byte> block) { block[7] = std::byte{1}; });
  EXPECT_THAT(cache.Format(version(), 10), HasReasonIs(Reason::kNotEmpty));
  EXPECT_EQ(cache.device().writes(), 1u) << "the test's own";
  FormatParams params = Params(version(), 10);
  params.force = true;
  EXPECT_THAT(cache.Format(params), IsOk());
  ExpectSound(cache);
}

TEST_P(OpenOrFormatTest, FormatChecksItsParameters) {
  TestCache cache;
  auto expect = [&](Reason reason, const std::function<void(FormatParams&)>& change) {
    FormatParams params = Params(version(), 100);
    change(params);
    EXPECT_THAT(cache.Format(params), HasReasonIs(reason));
  };
  expect(Reason::kInvalidRequest, [](FormatParams& p) { p.version = 0; });
  expect(Reason::kInvalidRequest, [](FormatParams& p) { p.version = 3; });
  expect(Reason::kInvalidRequest, [](FormatParams& p) { p.data_block_size = Sectors(63); });
  expect(Reason::kInvalidRequest, [](FormatParams& p) { p.data_block_size = Sectors(2097152 + 64); });
  expect(Reason::kPolicyInvalid, [](FormatParams& p) { p.policy_name = "sixteen-letters!"; });
  expect(Reason::kInvalidRequest, [](FormatParams& p) { p.identity = "sixteen-letters_"; });
  expect(Reason::kInvalidRequest, [](FormatParams& p) { p.identity = "a<b"; });
  expect(Reason::kGeometryMismatch, [](FormatParams& p) { p.fast_size = Sectors(100 * 64 - 1); });
  expect(Reason::kMetadataNoSpace, [](FormatParams& p) { p.cache_blocks = 1000000; });
  EXPECT_EQ(cache.device().writes(), 0u);
}

// What is refused for lack of space leaves the cache that was there before whole.
TEST_P(OpenOrFormatTest, FormatThatWouldNotFitWritesNothing) {
  bool refused = false;
  bool formatted = false;
  for (uint64_t blocks = 8; blocks < 40; ++blocks) {
    TestCache cache(blocks);
    FormatParams params = Params(version(), 3000, 4000);
    params.force = true;
    const absl::Status status = cache.Format(params);
    if (status.ok()) {
      formatted = true;
      ExpectSound(cache);
      continue;
    }
    refused = true;
    EXPECT_FALSE(formatted);
    EXPECT_THAT(status, HasReasonIs(Reason::kMetadataNoSpace));
    EXPECT_EQ(cache.device().writes(), 0u) << blocks << " blocks";
  }
  EXPECT_TRUE(refused && formatted);
}

TEST_P(OpenOrFormatTest, FailedFormatLeavesNoCache) {
  for (uint64_t write = 0; write < 4; ++write) {
    TestCache cache;
    cache.device().SetFaults({.fail_write = write});
    ASSERT_FALSE(cache.Format(version(), 1000).ok()) << "write " << write;
    TestCache found(cache.device().CrashImage(0));
    EXPECT_THAT(found.Open(), HasReasonIs(Reason::kNotFormatted));
  }
}

TEST_P(OpenOrFormatTest, WritableOpenRewritesBlockZeroAndFlushesBeforeAnythingElse) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  const std::vector<std::byte> before = cache.device().Image();
  const uint64_t writes = cache.device().writes();
  const uint64_t flushes = cache.device().flushes();
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache.device().writes(), writes + 1);
  EXPECT_EQ(cache.device().flushes(), flushes + 1);
  EXPECT_EQ(cache.device().Image(), before) << "the same bytes";
  cache.device().SetFaults({.fail_write = cache.device().writes()});
  EXPECT_THAT(cache.Open(), HasReasonIs(Reason::kIoError));
  cache.device().SetFaults({.fail_flush = cache.device().flushes()});
  EXPECT_THAT(cache.Open(), HasReasonIs(Reason::kIoError));
}

TEST_P(OpenOrFormatTest, IdentityIsCheckedWhenOneIsExpected) {
  TestCache cache;
  FormatParams format = Params(version(), 100);
  format.identity = "a";
  ASSERT_THAT(cache.Format(format), IsOk());
  OpenParams params;
  params.expected_identity = "b";
  EXPECT_THAT(cache.Open(params), HasReasonIs(Reason::kIdentityMismatch));
  params.expected_identity = "a";
  EXPECT_THAT(cache.Open(params), IsOk());
  EXPECT_THAT(cache.Open(), IsOk());
}

TEST_P(OpenOrFormatTest, GeometryIsCheckedAgainstTheDevices) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  ASSERT_THAT(cache.Insert({1}, {999}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  const uint64_t writes = cache.device().writes();
  OpenParams fast;
  fast.fast_size = Sectors(100 * 64 - 1);
  EXPECT_THAT(cache.Open(fast), HasReasonIs(Reason::kGeometryMismatch));
  OpenParams origin;
  origin.origin_size = Sectors(999 * 64);
  EXPECT_THAT(cache.Open(origin), HasReasonIs(Reason::kGeometryMismatch));
  EXPECT_EQ(cache.device().writes(), writes) << "a refused open writes nothing";
  fast.fast_size = Sectors(100 * 64);
  fast.origin_size = Sectors(1000 * 64);
  EXPECT_THAT(cache.Open(fast), IsOk());
}

TEST_P(OpenOrFormatTest, UnknownFeatures) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  PatchSuperblock(cache.device(), [](Superblock& s) { s.compat_flags = 0xFF; });
  EXPECT_THAT(cache.Open(), IsOk()) << "compatible ones are never looked at";
  PatchSuperblock(cache.device(), [](Superblock& s) { s.compat_ro_flags = 4; });
  EXPECT_THAT(cache.Open(), HasReasonIs(Reason::kUnsupportedFeature));
  EXPECT_THAT(cache.Open(ReadOnly()), IsOk());
  PatchSuperblock(cache.device(), [](Superblock& s) { s.incompat_flags = 1; });
  EXPECT_THAT(cache.Open(), HasReasonIs(Reason::kUnsupportedFeature));
  EXPECT_THAT(cache.Open(ReadOnly()), HasReasonIs(Reason::kUnsupportedFeature));
}

TEST_P(OpenOrFormatTest, FlagsThatWeDoNotKnowAreKept) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  PatchSuperblock(cache.device(), [](Superblock& s) {
    s.other_flags = 0x100;
    s.compat_flags = 7;
  });
  ASSERT_THAT(cache.Open(), IsOk());
  ASSERT_THAT(cache.Insert({1}, {1}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_EQ(cache.OnMedium().other_flags, 0x100u);
  EXPECT_EQ(cache.OnMedium().compat_flags, 7u);
}

class ProbeTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(ProbeTest);

TEST_P(ProbeTest, ReadsTheSuperblockAndChangesNothing) {
  TestCache cache;
  EXPECT_EQ(*CacheMetadata::Probe(cache.device()), std::nullopt);
  ASSERT_THAT(cache.Format(version(), 123), IsOk());
  const uint64_t writes = cache.device().writes();
  const auto found = CacheMetadata::Probe(cache.device());
  ASSERT_THAT(found, IsOk());
  EXPECT_EQ((*found)->cache_blocks, 123u);
  EXPECT_TRUE((*found)->clean_shutdown) << "the kernel's open would have cleared it";
  EXPECT_EQ(cache.device().writes(), writes);
}

TEST_P(ProbeTest, DamageIsReported) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 123), IsOk());
  Tamper(cache.device(), 0, std::nullopt, [](std::span<std::byte> block) { block[240] ^= std::byte{1}; });
  EXPECT_THAT(CacheMetadata::Probe(cache.device()), CauseIs(EILSEQ));
  MemoryDevice tiny(0);
  EXPECT_THAT(CacheMetadata::Probe(tiny), HasReasonIs(Reason::kMetadataCorrupt));
}

class CloseTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(CloseTest);

TEST_P(CloseTest, DoesNotCommit) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  ASSERT_THAT(cache.Insert({1}, {10}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ASSERT_THAT(cache.Insert({2}, {20}), IsOk());
  const uint64_t writes = cache.device().writes();
  cache.Close();
  EXPECT_EQ(cache.device().writes(), writes);
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache.Load(), (Mappings{{1, {10, false}}}));
}

class AbortTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(AbortTest);

// Abort is dropping all memory and loading again: also after a commit that failed half-way.
TEST_P(AbortTest, AfterAFailedCommitTheLastDurableStateIsLoaded) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 3000), IsOk());
  ASSERT_THAT(cache.Insert({1, 2000}, {10, 20}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ASSERT_THAT(cache.Insert({3}, {30}), IsOk());
  cache.device().SetFaults({.fail_flush = cache.device().flushes()});
  EXPECT_THAT(cache.Commit(), HasReasonIs(Reason::kIoError));
  ASSERT_THAT(cache.Open(), IsOk());
  EXPECT_EQ(cache.Load(), (Mappings{{1, {10, false}}, {2000, {20, false}}}));
  ASSERT_THAT(cache.Insert({3}, {30}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  ExpectSound(cache);
}

class NeedsCheckTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(NeedsCheckTest);

TEST_P(NeedsCheckTest, SetItRefusesMutationsAndReachesTheMediumWithTheNextCommit) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  ASSERT_THAT(cache.Insert({1}, {10}), IsOk());
  cache->SetNeedsCheck();
  EXPECT_TRUE(cache->needs_check());
  EXPECT_TRUE(cache->changed());
  EXPECT_FALSE(cache.OnMedium().needs_check);
  EXPECT_THAT(cache.Insert({2}, {20}), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_THAT(cache.Remove({1}, {10}), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_THAT(cache.MarkDirty({1}), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_THAT(cache->SetStats({}), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_THAT(cache.LookupCblocks({1}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_TRUE(cache.OnMedium().needs_check);
  EXPECT_EQ(cache.Load().size(), 1u) << "what was applied before is committed with the flag";
  EXPECT_THAT(cache.Open(), HasReasonIs(Reason::kNeedsCheck));
  EXPECT_TRUE(cache.OnMedium().clean_shutdown) << "the refused open changed nothing";
  ASSERT_THAT(cache.Open(ReadOnly()), IsOk());
  EXPECT_TRUE(cache->needs_check());
}

TEST_P(NeedsCheckTest, ClearTakesItBack) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100), IsOk());
  cache->SetNeedsCheck();
  ASSERT_THAT(cache.Commit(), IsOk());
  cache->ClearNeedsCheck();
  ASSERT_THAT(cache.Commit(), IsOk());
  EXPECT_THAT(cache.Open(), IsOk());
  EXPECT_THAT(cache.Insert({1}, {1}), IsOk());
}

class ReadOnlyTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(ReadOnlyTest);

TEST_P(ReadOnlyTest, EveryMutationIsRefusedAndNothingIsWritten) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100, 1000), IsOk());
  ASSERT_THAT(cache.Insert({1}, {10}, {true}), IsOk());
  ASSERT_THAT(cache.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  const uint64_t writes = cache.device().writes();
  ASSERT_THAT(cache.Open(ReadOnly()), IsOk());
  EXPECT_TRUE(cache->read_only());
  EXPECT_THAT(cache.Insert({2}, {20}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.Remove({1}, {10}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.MarkDirty({1}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.ClearDirty({1}, {10}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.SetDiscards({Dblocks(0, 1)}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.ClearDiscards({Dblocks(0, 1)}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.BeginHints("smq"), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.SaveHints({1}, {1}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.Resize(50), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache.ResizeDiscards({kBlockSize, 5}), HasReasonIs(Reason::kReadOnly));
  EXPECT_THAT(cache->SetStats({}), HasReasonIs(Reason::kReadOnly));
  EXPECT_EQ(cache.Load(), (Mappings{{1, {10, true}}}));
  EXPECT_EQ(cache.device().writes(), writes);
}

TEST_P(ReadOnlyTest, UncleanMetadataIsReadAsAllDirtyWithoutHintsOrDiscards) {
  TestCache cache;
  ASSERT_THAT(cache.Format(version(), 100, 1000), IsOk());
  ASSERT_THAT(cache.Insert({1, 2}, {10, 20}, {true, false}), IsOk());
  ASSERT_THAT(cache.BeginHints("smq"), IsOk());
  ASSERT_THAT(cache.SetDiscards({Dblocks(5, 7)}), IsOk());
  ASSERT_THAT(cache.Commit(), IsOk());
  PatchSuperblock(cache.device(), [](Superblock& s) { s.clean_shutdown = false; });
  ASSERT_THAT(cache.Open(ReadOnly()), IsOk());
  EXPECT_TRUE(cache->must_assume_all_dirty());
  EXPECT_EQ(cache.Load(), (Mappings{{1, {10, true}}, {2, {20, true}}}));
  EXPECT_EQ(cache->dirty_blocks(), 2u);
  EXPECT_TRUE(cache.LoadHints().empty());
  EXPECT_TRUE(cache.LoadDiscards().empty());
  EXPECT_EQ(cache->discarded_blocks(), 0u);
  const auto found = cache.LookupCblocks({1, 2});
  ASSERT_THAT(found, IsOk());
  EXPECT_TRUE((*found)[1].dirty);
  EXPECT_FALSE((*found)[1].dirty_stored);
}

// --- Several threads read the mappings ---

class HelpedOpenTest : public VersionTest {
 protected:
  static constexpr uint32_t kCacheBlocks = 300000;  // Three times what a thread takes at once.

  HelpedOpenTest() : cache_(4096) {
    EXPECT_THAT(cache_.Format(version(), kCacheBlocks, 1 << 20), IsOk());
    std::vector<uint32_t> cblocks;
    std::vector<uint64_t> oblocks;
    for (uint32_t i = 0; i < kCacheBlocks; i += 7) {
      cblocks.push_back(i);
      oblocks.push_back(uint64_t{i} * 3 + 1);
    }
    EXPECT_THAT(cache_.Insert(cblocks, oblocks), IsOk());
    EXPECT_THAT(cache_.MarkDirty({0, 7, 150003, 299999}), IsOk());
    EXPECT_THAT(cache_.Commit(), IsOk());
    params_.executor = &helpers_;
  }

  ThreadPerTask helpers_;
  OpenParams params_;
  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(HelpedOpenTest);

TEST_P(HelpedOpenTest, FindsWhatOneThreadFinds) {
  ASSERT_THAT(cache_.Open(params_), IsOk());
  EXPECT_EQ(cache_->mapped_blocks(), (kCacheBlocks + 6) / 7);
  EXPECT_EQ(cache_->dirty_blocks(), 4u);
  std::vector<uint64_t> oblocks;
  for (uint32_t i = 0; i < kCacheBlocks; i += 7) oblocks.push_back(uint64_t{i} * 3 + 1);
  const auto found = cache_.LookupOblocks(oblocks);
  ASSERT_THAT(found, IsOk());
  for (size_t i = 0; i < oblocks.size(); ++i) ASSERT_EQ((*found)[i].cblock, Cblock(static_cast<uint32_t>(i * 7)));
}

TEST_P(HelpedOpenTest, FindsDamageWhereverItIs) {
  for (const uint64_t block : {0, 300, 589}) {
    uint64_t sound = 0;
    PatchArray(cache_, ArrayKind::kMappings, block, [&](std::span<std::byte> b) {
      sound = LoadLe<uint64_t>(WordOf(b, 9));
      StoreLe<uint64_t>(WordOf(b, 9), 4);
    });
    EXPECT_THAT(cache_.Open(params_), HasReasonIs(Reason::kMetadataCorrupt)) << block;
    OpenParams read_only = params_;
    read_only.read_only = true;
    ASSERT_THAT(cache_.Open(read_only), IsOk());
    EXPECT_GT(cache_->mapped_blocks(), kCacheBlocks / 7 - 10) << "the sound entries of damaged blocks are there";
    PatchArray(cache_, ArrayKind::kMappings, block,
               [&](std::span<std::byte> b) { StoreLe<uint64_t>(WordOf(b, 9), sound); });
  }
}

TEST_P(HelpedOpenTest, FindsAnOblockInTwoFarPlaces) {
  PatchArray(cache_, ArrayKind::kMappings, 589,
             [](std::span<std::byte> b) { StoreLe<uint64_t>(WordOf(b, 100), 1 << 16 | 1); });
  const absl::Status refused = cache_.Open(params_);
  EXPECT_THAT(refused, HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("oblock 1 is mapped twice"));
}

// --- Damage: never opened for writing, readable where it is sound ---

class DamageTest : public VersionTest {
 protected:
  DamageTest() {
    EXPECT_THAT(cache_.Format(version(), 1200, 100000), IsOk());
    EXPECT_THAT(cache_.Insert({0, 600, 1100}, {5, 6, 7}), IsOk());
    EXPECT_THAT(cache_.Commit(), IsOk());
  }

  TestCache cache_;
};
DMCACHED_BOTH_VERSIONS(DamageTest);

TEST_P(DamageTest, ArrayBlockWithABadChecksum) {
  PatchArray(
      cache_, ArrayKind::kMappings, 1, [](std::span<std::byte> b) { b[99] ^= std::byte{1}; }, false);
  const uint64_t writes = cache_.device().writes();
  const absl::Status refused = cache_.Open();
  EXPECT_THAT(refused, HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(refused, CauseIs(EILSEQ));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("mapping array: array block "));
  EXPECT_EQ(cache_.device().writes(), writes);
  ASSERT_THAT(cache_.Open(ReadOnly()), IsOk());
  const auto sound = cache_.LookupCblocks({0, 1100, 3});
  ASSERT_THAT(sound, IsOk());
  EXPECT_TRUE((*sound)[1].mapped);
  EXPECT_FALSE((*sound)[2].mapped);
  EXPECT_THAT(cache_.LookupCblocks({600}), HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(cache_.LookupCblocks({601}), HasReasonIs(Reason::kMetadataCorrupt)) << "nobody knows";
  EXPECT_THAT(cache_.LookupOblocks({5}), IsOk());
  EXPECT_THAT(cache_.LookupOblocks({6}), HasReasonIs(Reason::kMetadataCorrupt));
}

TEST_P(DamageTest, OblockMappedTwice) {
  PatchArray(cache_, ArrayKind::kMappings, 0,
             [](std::span<std::byte> b) { StoreLe<uint64_t>(WordOf(b, 9), 6 << 16 | 1); });
  const absl::Status refused = cache_.Open();
  EXPECT_THAT(refused, HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("oblock 6 is mapped twice"));
  EXPECT_THAT(cache_.Open(ReadOnly()), IsOk());
}

TEST_P(DamageTest, MappingWordsThatNoWriterLeaves) {
  const uint64_t without_valid = uint64_t{50} << 16;
  for (const uint64_t word : {without_valid, without_valid | 4 | 1, without_valid | 2, without_valid | 0x8001}) {
    PatchArray(cache_, ArrayKind::kMappings, 0, [&](std::span<std::byte> b) { StoreLe(WordOf(b, 9), word); });
    EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kMetadataCorrupt)) << word;
    ASSERT_THAT(cache_.Open(ReadOnly()), IsOk());
  }
  PatchArray(cache_, ArrayKind::kMappings, 0,
             [&](std::span<std::byte> b) { StoreLe(WordOf(b, 9), without_valid | 3); });
  EXPECT_EQ(cache_.Open().ok(), version() == 1) << "the dirty flag is one of version 1 only";
}

TEST_P(DamageTest, DirtyBitOfADamagedBlockIsNotInvented) {
  if (version() == 1) return;  // It is in the mapping word.
  PatchArray(
      cache_, ArrayKind::kDirty, 0, [](std::span<std::byte> b) { b[99] ^= std::byte{1}; }, false);
  EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kMetadataCorrupt));
  ASSERT_THAT(cache_.Open(ReadOnly()), IsOk());
  EXPECT_THAT(cache_.LookupCblocks({600}), HasReasonIs(Reason::kMetadataCorrupt));
}

TEST_P(DamageTest, DiscardGeometryThatIsNoMultiple) {
  PatchSuperblock(cache_.device(), [](Superblock& s) { s.discard_block_size = Sectors(96); });
  EXPECT_THAT(cache_.Open(), HasReasonIs(Reason::kMetadataCorrupt));
}

TEST_P(DamageTest, MetInARunningCacheItRefusesTheRequestWhole) {
  ASSERT_THAT(cache_.Open(), IsOk());
  PatchArray(
      cache_, ArrayKind::kMappings, 1, [](std::span<std::byte> b) { b[99] ^= std::byte{1}; }, false);
  EXPECT_THAT(cache_.Insert({1, 601}, {50, 51}), HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_FALSE(cache_->changed());
  EXPECT_EQ(cache_->mapped_blocks(), 3u);
  EXPECT_THAT(cache_.Insert({1}, {50}), IsOk());
}

}  // namespace
}  // namespace dmcached
