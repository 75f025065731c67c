// The checker's tools: merging of findings, duplicate oblocks, bits of cblocks, work in parallel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "core/base/parallel.h"
#include "core/maintenance/cblock_bits.h"
#include "core/maintenance/duplicate_origins.h"
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

void Add(DuplicateOrigins& origins, size_t lane, uint64_t oblock) {
  const Oblock one(oblock);
  origins.Add(lane, std::span(&one, 1));
}
absl::Status Never() { return absl::OkStatus(); }

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

TEST(DuplicateOriginsTest, FindsEachInEitherForm) {
  for (const uint64_t end : {uint64_t{1000}, uint64_t{1} << 48}) {
    DuplicateOrigins origins(end, 1000, /*lanes=*/2);
    for (const uint64_t oblock : {5, 900, 7, 5, 8, 900, 900, 6}) Add(origins, oblock % 2, oblock);
    for (const size_t lane : {0, 1}) Add(origins, lane, uint64_t{1} << 40);
    ASSERT_THAT(origins.Finish(nullptr, Never), IsOk());
    EXPECT_TRUE(origins.any());
    for (const uint64_t oblock : {uint64_t{5}, uint64_t{900}, uint64_t{1} << 40}) {
      EXPECT_TRUE(origins.Contains(Oblock(oblock))) << oblock;
    }
    for (const uint64_t oblock : {uint64_t{6}, uint64_t{7}, uint64_t{0}, uint64_t{1} << 41}) {
      EXPECT_FALSE(origins.Contains(Oblock(oblock))) << oblock;
    }
  }
}

TEST(DuplicateOriginsTest, FindsNoneWhereThereIsNone) {
  DuplicateOrigins origins(10, 1000, /*lanes=*/2);
  for (uint64_t i = 0; i < 1000; ++i) Add(origins, 0, i);
  ASSERT_THAT(origins.Finish(nullptr, Never), IsOk());
  EXPECT_FALSE(origins.any());
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
  EXPECT_EQ(bits.CountKnown(false).mappings, 2u);
  EXPECT_EQ(bits.CountKnown(false).dirty, 1u);
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
