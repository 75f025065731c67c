#include "core/store/block_set.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "core/format/seal.h"
#include "tests/core/store/store_fixture.h"

namespace dmcached {
namespace {

constexpr uint64_t kBlocks = 20;

class BlockSetTest : public testing::Test {
 protected:
  explicit BlockSetTest(uint64_t budget_bytes = 1u << 20) : store_(device_, budget_bytes) {
    EXPECT_THAT(store_.Format(kBlocks * kArrayWordsPerBlock), IsOk());
    EXPECT_THAT(store_.Load(), IsOk());  // Nothing is resident.
    device_->log.clear();
  }
  uint64_t location(uint64_t block) { return store_.mappings().slot(block).location; }

  std::shared_ptr<RecordingDevice> device_ = std::make_shared<RecordingDevice>(256 * kMetadataBlockBytes);
  TestStore store_;
};

TEST_F(BlockSetTest, OperationIsCalledAgainWhenItsBlocksAreResident) {
  int calls = 0;
  int applied = 0;
  const absl::Status status = store_.Run([&](BlockSet& set) {
    ++calls;
    set.Read(store_.mappings(), 3);
    set.Read(store_.mappings(), 7);
    if (set.complete()) ++applied;
    return absl::OkStatus();
  });
  EXPECT_THAT(status, IsOk());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(applied, 1);
  EXPECT_EQ(store_->block_misses(), 2u);
}

TEST_F(BlockSetTest, ResidentBlocksAreReadNoMore) {
  ASSERT_THAT(store_.Get(0), IsOk());
  ASSERT_EQ(device_->log.size(), 1u);
  ASSERT_THAT(store_.Get(5), IsOk());
  EXPECT_EQ(device_->log.size(), 1u);
}

TEST_F(BlockSetTest, NeighboursAreReadInOneRequest) {
  const absl::Status status = store_.Run([&](BlockSet& set) {
    for (const uint64_t block : {9, 4, 5, 6}) set.Read(store_.mappings(), block);
    return absl::OkStatus();
  });
  EXPECT_THAT(status, IsOk());
  EXPECT_EQ(location(6), location(4) + 2) << "created as neighbours";
  EXPECT_THAT(device_->log, testing::UnorderedElementsAre(absl::StrCat("r", location(4), "+3"),
                                                          absl::StrCat("r", location(9), "+1")));
}

TEST_F(BlockSetTest, CopiesCountsEachBlockOnce) {
  const absl::Status status = store_.Run([&](BlockSet& set) {
    set.Read(store_.mappings(), 1);
    set.Read(store_.mappings(), 2);
    EXPECT_EQ(set.copies(), 0u);
    set.Change(store_.mappings(), 2);
    set.Change(store_.mappings(), 2);
    set.Change(store_.mappings(), 3);
    EXPECT_EQ(set.copies(), 2u);
    return absl::OkStatus();
  });
  EXPECT_THAT(status, IsOk());
}

TEST_F(BlockSetTest, BlockThatThisTransactionChangedNeedsNoCopy) {
  ASSERT_THAT(store_.Put(0, 1), IsOk());
  auto copies = [&] {
    uint64_t count = 0;
    EXPECT_THAT(store_.Run([&](BlockSet& set) {
      set.Change(store_.mappings(), 0);
      count = set.copies();
      return absl::OkStatus();
    }),
                IsOk());
    return count;
  };
  EXPECT_EQ(copies(), 0u);
  auto batch = store_.Prepare();
  EXPECT_EQ(copies(), 1u) << "frozen";
  store_->Finish(std::move(batch));
  EXPECT_EQ(copies(), 1u) << "clean";
}

TEST_F(BlockSetTest, DamagedBlockRefusesTheRequestAndIsNamed) {
  Tamper(*device_, location(3), std::nullopt, [](std::span<std::byte> block) { block[100] ^= std::byte{1}; });
  int applied = 0;
  const absl::Status status = store_.Run([&](BlockSet& set) {
    set.Change(store_.mappings(), 2);
    set.Change(store_.mappings(), 3);
    if (set.complete()) ++applied;
    return absl::OkStatus();
  });
  EXPECT_THAT(status, CauseIs(EILSEQ));
  EXPECT_EQ(status.message().substr(0, 14), "mapping array:");
  EXPECT_EQ(applied, 0);
  EXPECT_EQ(FailedBlockType(status), BlockType::kArrayBlock);
  EXPECT_THAT(store_.Get(0), IsOk());
}

TEST_F(BlockSetTest, WrongHeaderRefusesTheRequest) {
  Tamper(*device_, location(3), BlockType::kArrayBlock,
         [](std::span<std::byte> block) { MutableDiskView<DiskArrayBlockHeader>(block).nr_entries.store(508); });
  EXPECT_THAT(store_.Get(3 * kArrayWordsPerBlock), CauseIs(EUCLEAN));
}

TEST_F(BlockSetTest, BulkBlocksAreWrittenBeforeTheNextRound) {
  const MetadataBlock bulk = store_->AllocateBulk();
  int round = 0;
  const absl::Status status = store_.Run([&](BlockSet& set) {
    if (++round == 1) set.WriteLater({{.location = bulk, .entries = 5, .contents = nullptr}});
    EXPECT_EQ(set.complete(), round == 2);
    return absl::OkStatus();
  });
  EXPECT_THAT(status, IsOk());
  EXPECT_EQ(round, 2);
  EXPECT_THAT(device_->log, testing::ElementsAre(absl::StrCat("w", bulk.value(), "+1")));
}

// The rounds by hand, to let a commit come between them.
class BlockSetRoundTest : public BlockSetTest {
 protected:
  void NameInFirstRound() {
    set_.Begin();
    set_.Read(store_.mappings(), 3);
    ASSERT_FALSE(set_.complete());
    set_.Pin();
    ASSERT_THAT(set_.Load(), IsOk());
  }

  BlockSet set_{*store_};
};

TEST_F(BlockSetRoundTest, BlockThatMovedMeanwhileIsReadAgain) {
  NameInFirstRound();
  ASSERT_THAT(store_.Put(3 * kArrayWordsPerBlock, 42), IsOk());  // Now resident, changed, elsewhere.
  ASSERT_THAT(set_.Install(), IsOk());
  set_.Begin();
  EXPECT_TRUE(set_.Read(store_.mappings(), 3));
  EXPECT_EQ(store_.mappings().Word(3 * kArrayWordsPerBlock), 42u);
  set_.Unpin();
}

TEST_F(BlockSetRoundTest, DamageInABlockThatMovedMeanwhileIsNobodysProblem) {
  Tamper(*device_, location(3), std::nullopt, [](std::span<std::byte> block) { block[100] ^= std::byte{1}; });
  NameInFirstRound();
  store_->ReplaceBlock(ArrayKind::kMappings, 3, store_->AllocateBulk());
  EXPECT_THAT(set_.Install(), IsOk());
  set_.Unpin();
}

TEST_F(BlockSetRoundTest, NothingIsInstalledInAnArrayThatWasResized) {
  NameInFirstRound();
  store_->ResizeArray(ArrayKind::kMappings, 19 * kArrayWordsPerBlock, {});
  ASSERT_THAT(set_.Install(), IsOk());
  EXPECT_EQ(store_.mappings().slot(3).frame, nullptr);
  set_.Unpin();
}

// Moved away and back: what was read may be older than what is there now.
TEST_F(BlockSetRoundTest, NothingIsInstalledAfterTwoCommits) {
  NameInFirstRound();
  ASSERT_THAT(store_.Commit(), IsOk());
  ASSERT_THAT(store_.Commit(), IsOk());
  ASSERT_THAT(set_.Install(), IsOk());
  EXPECT_EQ(store_.mappings().slot(3).frame, nullptr);
  set_.Unpin();
}

TEST_F(BlockSetRoundTest, PinnedBlocksStayUntilUnpin) {
  NameInFirstRound();
  ASSERT_THAT(set_.Install(), IsOk());
  Frame* frame = store_.mappings().slot(3).frame;
  ASSERT_NE(frame, nullptr);
  EXPECT_GT(frame->pins, 0u);
  set_.Unpin();
  EXPECT_EQ(frame->pins, 0u);
}

class SmallBudgetTest : public BlockSetTest {
 protected:
  SmallBudgetTest() : BlockSetTest(2 * kMetadataBlockBytes) {}
};

TEST_F(SmallBudgetTest, RequestMayPinMoreThanTheBudget) {
  const absl::Status status = store_.Run([&](BlockSet& set) {
    for (uint64_t block = 0; block < kBlocks; ++block) set.Read(store_.mappings(), block);
    return absl::OkStatus();
  });
  EXPECT_THAT(status, IsOk());
  for (int i = 0; i < 5; ++i) store_->cache().Trim();
  EXPECT_LE(store_->cache().bytes(), 2 * kMetadataBlockBytes);
}

TEST(BlockSetLimitTest, TooManyBlocksAreRefusedWhole) {
  constexpr uint64_t kTooMany = kMaxPinnedBlocks + 2;
  auto device = std::make_shared<RecordingDevice>((kTooMany + 200) * kMetadataBlockBytes);
  TestStore store(device, kMetadataBlockBytes);
  ASSERT_THAT(store.Format(kTooMany * kArrayWordsPerBlock), IsOk());
  auto read = [&](uint64_t blocks) {
    return store.Run([&](BlockSet& set) {
      for (uint64_t block = 0; block < blocks; ++block) set.Read(store.mappings(), block);
      return absl::OkStatus();
    });
  };
  device->log.clear();
  EXPECT_THAT(read(kTooMany), HasReasonIs(Reason::kTooManyBlocks));
  EXPECT_THAT(device->log, testing::IsEmpty());
  EXPECT_THAT(read(kTooMany - 1), IsOk());
}

}  // namespace
}  // namespace dmcached
