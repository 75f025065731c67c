// The checker's tools: merging of findings, bits of cblocks, work in parallel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <vector>

#include "core/base/parallel.h"
#include "core/maintenance/cblock_bits.h"
#include "core/maintenance/finding_collector.h"
#include "tests/core/maintenance/check_fixture.h"
#include "tests/support/manual_executor.h"
#include "tests/support/random.h"
#include "tests/support/thread_per_task.h"

namespace dmcached {
namespace {

CblockRange Range(uint32_t begin, uint32_t end) { return {Cblock(begin), Cblock(end)}; }

Finding Leak(uint64_t block) {
  Finding finding;
  finding.kind = FindingKind::kLeakedBlock;
  finding.severity = Severity::kRepairable;
  finding.block = MetadataBlock(block);
  finding.message = "leaked";
  return finding;
}
Finding BadFlags(uint32_t begin, uint32_t end) {
  Finding finding;
  finding.kind = FindingKind::kMappingFlags;
  finding.cblocks = Range(begin, end);
  finding.message = "flags";
  return finding;
}

TEST(FindingTest, NamesAreUnique) {
  std::set<std::string> names;
  for (size_t i = 0; i < kFindingKinds; ++i) names.insert(FindingKindName(static_cast<FindingKind>(i)));
  EXPECT_EQ(names.size(), kFindingKinds);
}

TEST(FindingCollectorTest, MergesNeighboursOfOneKindAndCountsThem) {
  FindingCollector findings;
  for (const uint64_t block : {5, 6, 8}) findings.Add(Leak(block));
  findings.Add(BadFlags(1, 2));
  findings.Add(BadFlags(2, 4));
  findings.Add(Leak(9));
  findings.Add(BadFlags(5, 6));
  const std::vector<Finding> taken = findings.Take();
  ASSERT_EQ(taken.size(), 4u);
  EXPECT_EQ(taken[0].block, MetadataBlock(5));
  EXPECT_EQ(taken[0].count, 2u);
  EXPECT_EQ(taken[1].block, MetadataBlock(8));
  EXPECT_EQ(taken[1].count, 2u);
  EXPECT_EQ(taken[2].cblocks->end, Cblock(4));
  EXPECT_EQ(taken[2].message, "flags; 2 of this kind in cblocks 1 to 3");
  EXPECT_EQ(taken[3].message, "flags");
  EXPECT_TRUE(findings.Take().empty());
}

TEST(FindingCollectorTest, DoesNotMergeAcrossArraysOrSeverities) {
  FindingCollector findings;
  Finding finding = BadFlags(0, 1);
  for (const auto array : {ArrayKind::kMappings, ArrayKind::kHints}) {
    finding.array = array;
    findings.Add(finding);
  }
  finding.severity = Severity::kNote;
  findings.Add(finding);
  EXPECT_EQ(findings.Take().size(), 3u);
}

TEST(FindingCollectorTest, KeepsAListShortAndLosesNothing) {
  FindingCollector findings;
  for (uint64_t i = 0; i < 5000; ++i) findings.Add(Leak(2 * i));
  const std::vector<Finding> taken = findings.Take();
  ASSERT_EQ(taken.size(), FindingCollector::kMaxPerKind);
  uint64_t count = 0;
  for (const Finding& finding : taken) count += finding.count;
  EXPECT_EQ(count, 5000u);
  EXPECT_EQ(taken.back().count, 5000u - FindingCollector::kMaxPerKind + 1);
}

TEST(CblockBitsTest, CountsWhatMayBeAffected) {
  CblockBits bits(200);
  bits.SetMappingKnown(0, 150);
  bits.SetDirtyKnown(0, 200);
  bits.SetMapped(10);
  bits.SetMapped(100);
  bits.SetDirtyWord(1, ~uint64_t{0});  // 64 to 127.
  EXPECT_EQ(bits.CountPossible(Range(0, 101), false).mappings, 2u);
  EXPECT_EQ(bits.CountPossible(Range(0, 101), false).dirty, 1u);
  EXPECT_EQ(bits.CountPossible(Range(0, 101), true).dirty, 2u);
  EXPECT_EQ(bits.CountPossible(Range(140, 210), false).mappings, 60u) << "50 unreadable ones, and 10 past all bits";
  EXPECT_EQ(bits.CountPossible(Range(140, 210), false).dirty, 10u);
  EXPECT_EQ(bits.CountPossible(Range(250, 260), false).mappings, 10u);
  EXPECT_EQ(bits.CountPossible(Range(200, 210), false).mappings, 10u);
  EXPECT_EQ(bits.CountKnown(false).mappings, 2u);
  EXPECT_EQ(bits.CountKnown(false).dirty, 1u);
}

TEST(CblockBitsTest, CountsOfRangesAgreeWithThoseOfTheirCblocks) {
  for (const uint32_t cblocks : {4096u, 8192u, 10000u}) {
    Random random(cblocks);
    CblockBits bits(cblocks);
    for (uint32_t i = 0; i < 500; ++i) {
      bits.SetMapped(random.Below(cblocks));
      bits.SetDirty(random.Below(cblocks));
      bits.SetMappingKnown(i * cblocks / 500, i * cblocks / 500 + random.Below(30));
      bits.SetDirtyKnown(i * cblocks / 500, i * cblocks / 500 + random.Below(30));
    }
    for (int i = 0; i < 40; ++i) {
      const auto begin = static_cast<uint32_t>(random.Below(cblocks + 1));
      const auto end = static_cast<uint32_t>(begin + random.Below(cblocks - begin + 10));
      CblockBits::Counts counts;
      for (uint32_t cblock = begin; cblock < end; ++cblock) {
        counts += bits.CountPossible(Range(cblock, cblock + 1), false);
      }
      EXPECT_EQ(bits.CountPossible(Range(begin, end), false).mappings, counts.mappings) << begin << " to " << end;
      EXPECT_EQ(bits.CountPossible(Range(begin, end), false).dirty, counts.dirty) << begin << " to " << end;
      EXPECT_EQ(bits.CountPossible(Range(begin, end), true).dirty, counts.mappings) << begin << " to " << end;
    }
  }
}

// As array blocks do, whose bits begin in the middle of a word.
TEST(CblockBitsTest, ManyBitsAtOnceAreAsOneByOne) {
  Random random(7);
  CblockBits one(1500);
  CblockBits many(1500);
  for (uint64_t begin = 0; begin < 1530; begin += 510) {  // The last one reaches past the end.
    std::array<uint64_t, 8> words{};
    for (uint64_t i = 0; i < 510; ++i) {
      if (random.Below(2) == 0) continue;
      words[i / 64] |= uint64_t{1} << (i % 64);
      if (begin + i < 1500) one.SetMapped(begin + i);
    }
    many.MergeMapped(begin, 510, words);
    many.MergeDirty(begin, 510, words);
  }
  one.SetMappingKnown(0, 1500);
  many.SetMappingKnown(0, 1500);
  many.SetDirtyKnown(0, 1500);
  for (uint32_t cblock = 0; cblock < 1500; ++cblock) {
    const uint64_t mapped = one.CountPossible(Range(cblock, cblock + 1), false).mappings;
    EXPECT_EQ(many.CountPossible(Range(cblock, cblock + 1), false).mappings, mapped) << cblock;
    EXPECT_EQ(many.CountPossible(Range(cblock, cblock + 1), false).dirty, mapped) << cblock;
  }
}

TEST(CblockBitsTest, FindsRangesOfDirtyBitsOfUnmappedCblocks) {
  CblockBits bits(1000);
  bits.SetMappingKnown(0, 1000);
  bits.SetDirtyKnown(0, 1000);
  for (uint64_t word = 1; word < 16; ++word) bits.SetDirtyWord(word, ~uint64_t{0});
  bits.SetMapped(500);
  CblockRange found = bits.NextDirtyUnmapped(0);
  EXPECT_EQ(found.begin, Cblock(64));
  EXPECT_EQ(found.end, Cblock(500));
  found = bits.NextDirtyUnmapped(500);
  EXPECT_EQ(found.begin, Cblock(501));
  EXPECT_EQ(found.end, Cblock(1000));
  EXPECT_EQ(bits.NextDirtyUnmapped(1000).begin, bits.NextDirtyUnmapped(1000).end);
}

TEST(RunParallelTest, CallerDoesWhatNobodyElseBegins) {
  ManualExecutorFactory executors;  // Runs nothing by itself.
  int calls = 0;
  RunParallel(&executors.readers(), 10, [&](size_t) { ++calls; });
  EXPECT_EQ(calls, 10);
  executors.RunUntilIdle();  // The helpers come late and find nothing.
  EXPECT_EQ(calls, 10);
  RunParallel(nullptr, 3, [&](size_t) { ++calls; });
  EXPECT_EQ(calls, 13);
}

TEST(RunParallelTest, EachPieceIsDoneOnceByManyThreads) {
  ThreadPerTask executor(3);
  std::vector<std::atomic<int>> done(100);
  RunParallel(&executor, done.size(), [&](size_t i) { ++done[i]; });
  for (const auto& count : done) EXPECT_EQ(count.load(), 1);
}

}  // namespace
}  // namespace dmcached
