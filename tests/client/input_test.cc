#include "client/cli/input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "dmcached/status.h"

namespace dmcached::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST(InputTest, ExpandsArgumentsIntoBatches) {
  std::istringstream none;
  ItemReader reader({"0-4", "9"}, ItemForm::kCblocks, none);
  ASSERT_TRUE(reader.Check().ok());
  EXPECT_THAT(reader.Next(4)->cblocks, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(reader.Next(4)->cblocks, ElementsAre(4, 9));
  EXPECT_EQ(reader.Next(4)->size(), 0u);
}

TEST(InputTest, KeepsTheLargestRangeInBatches) {
  std::istringstream none;
  ItemReader reader({"4294967290-4294967295"}, ItemForm::kCblocks, none);
  EXPECT_THAT(reader.Next(100)->cblocks, SizeIs(6));
  EXPECT_EQ(reader.Next(100)->size(), 0u);
}

TEST(InputTest, ReadsLinesAndSkipsEmptyOnes) {
  std::istringstream lines("0 100\n\n  \n1 101 dirty\r\n2:102\n");
  ItemReader reader({"-"}, ItemForm::kPairs, lines);
  ASSERT_TRUE(reader.Check().ok());
  const absl::StatusOr<ItemBatch> batch = reader.Next();
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_THAT(batch->cblocks, ElementsAre(0, 1, 2));
  EXPECT_THAT(batch->dirty, ElementsAre(0, 1, 0));
  EXPECT_THAT(batch->lines, ElementsAre(1, 4, 5));
}

TEST(InputTest, SaysWhichLineIsBadAndHowManyWereApplied) {
  std::istringstream lines("0 100\n1 101\n2 two\n");
  ItemReader reader({"-"}, ItemForm::kPairs, lines);
  const absl::StatusOr<ItemBatch> first = reader.Next(2);
  ASSERT_TRUE(first.ok());
  reader.MarkApplied(*first);
  const absl::Status status = reader.Next(2).status();
  EXPECT_EQ(client::ReasonOf(status), "INVALID_REQUEST");
  EXPECT_THAT(std::string(status.message()), HasSubstr("line 3: \"2 two\" is not"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 lines were applied"));
}

TEST(InputTest, NamesTheLineThatTheServiceRefused) {
  std::istringstream lines("0 100\n\n1 101\n");
  ItemReader reader({"-"}, ItemForm::kPairs, lines);
  const absl::StatusOr<ItemBatch> batch = reader.Next();
  ASSERT_TRUE(batch.ok());
  const absl::Status refused =
      client::WithItem(client::MakeError(absl::StatusCode::kAlreadyExists, "CBLOCK_IN_USE", "cblock 1 is in use"), 1);
  const absl::Status status = reader.Explain(refused, *batch);
  EXPECT_EQ(status.message(), "line 3: cblock 1 is in use (0 lines were applied)");
  EXPECT_EQ(client::ReasonOf(status), "CBLOCK_IN_USE");
  EXPECT_THAT(std::string(reader.Explain(absl::UnavailableError("gone"), *batch).message()),
              HasSubstr("lines 1 to 3: gone (0 lines were applied, perhaps the next batch too)"));
}

TEST(InputTest, ALineThatGoesOnInTheNextBatchIsNoneYet) {
  std::istringstream lines("7\n0-9\nx\n");
  ItemReader reader({"-"}, ItemForm::kCblocks, lines);
  std::vector<std::string> said;
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<ItemBatch> batch = reader.Next(4);
    ASSERT_TRUE(batch.ok()) << batch.status();
    said.emplace_back(reader.Explain(absl::UnavailableError("gone"), *batch).message());
    reader.MarkApplied(*batch);
  }
  said.emplace_back(reader.Next(4).status().message());
  EXPECT_THAT(said[0], HasSubstr("(0 lines were applied"));
  EXPECT_THAT(said[1], HasSubstr("(1 line and the first 3 items of the next were applied"));
  EXPECT_THAT(said[2], HasSubstr("(1 line and the first 7 items of the next were applied"));
}

TEST(InputTest, KnowsHowFarItIsWhereTheEndIsKnown) {
  std::istringstream lines("0 1\n1 2\n2 3\n3 4\n");
  ItemReader by_line({"-"}, ItemForm::kPairs, lines);
  ASSERT_TRUE(by_line.Next(2).ok());
  EXPECT_EQ(by_line.Fraction(), 0.5);
  std::istringstream none;
  ItemReader by_argument({"0-5", "9-10"}, ItemForm::kCblocks, none);
  const absl::StatusOr<ItemBatch> batch = by_argument.Next(2);
  ASSERT_TRUE(batch.ok());
  by_argument.MarkApplied(*batch);
  EXPECT_EQ(by_argument.Fraction(), 0.25);
}

TEST(InputTest, RefusesADashAmongArguments) {
  std::istringstream none;
  EXPECT_FALSE(ItemReader({"1", "-"}, ItemForm::kCblocks, none).Check().ok());
  EXPECT_FALSE(ItemReader({"1", "x"}, ItemForm::kCblocks, none).Check().ok());
}

}  // namespace
}  // namespace dmcached::cli
