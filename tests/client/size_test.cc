#include "client/cli/size.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "client/cli/blocks.h"

namespace dmcached::cli {
namespace {

using client::BlockRange;

TEST(SizeTest, ReadsBytesUnitsAndSectors) {
  EXPECT_EQ(*ParseBytes("0"), 0u);
  EXPECT_EQ(*ParseBytes("4096"), 4096u);
  EXPECT_EQ(*ParseBytes("4096B"), 4096u);
  EXPECT_EQ(*ParseBytes("64KiB"), 65536u);
  EXPECT_EQ(*ParseBytes("10GiB"), uint64_t{10} << 30);
  EXPECT_EQ(*ParseBytes("3TiB"), uint64_t{3} << 40);
  EXPECT_EQ(*ParseBytes("512s"), 512u * 512u);
  EXPECT_EQ(*ParseSectors("64KiB"), 128u);
  EXPECT_EQ(*ParseSectors("512s"), 512u);
  EXPECT_EQ(*ParseBytes("18446744073709551615"), UINT64_MAX);
}

TEST(SizeTest, RefusesEverythingElseAndQuotesIt) {
  for (const char* text : {"", "KiB", "64KB", "64kib", "64 KiB", " 64KiB", "64KiB ", "-1", "+1", "1.5GiB", "0x10",
                           "64K", "1e3", "18446744073709551616", "16777216TiB", "999999999999999999999KiB"}) {
    const absl::Status status = ParseBytes(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(std::string(status.message()).find(absl::StrCat("\"", text, "\"")), std::string::npos) << status;
  }
  EXPECT_FALSE(ParseSectors("100").ok());
  EXPECT_FALSE(ParseSectors("513").ok());
}

TEST(SizeTest, ReadsTimes) {
  EXPECT_EQ(*ParseMilliseconds("500ms"), 500u);
  EXPECT_EQ(*ParseMilliseconds("60s"), 60000u);
  EXPECT_EQ(*ParseMilliseconds("2m"), 120000u);
  for (const char* text : {"60", "s", "1h", "-1s", "5000000s"}) EXPECT_FALSE(ParseMilliseconds(text).ok()) << text;
}

TEST(SizeTest, ReadsAndPrintsHexIds) {
  EXPECT_EQ(*ParseHex("00000000000000ff"), 255u);
  EXPECT_EQ(*ParseHex("FFFFFFFFFFFFFFFF"), UINT64_MAX);
  EXPECT_EQ(FormatHex(255), "00000000000000ff");
  for (const char* text : {"", "0x1", "g", "11112222333344445"}) EXPECT_FALSE(ParseHex(text).ok()) << text;
}

TEST(SizeTest, ReadsPolicyVersions) {
  EXPECT_EQ(*ParsePolicyVersion("2.0.13"), (client::PolicyVersion{2, 0, 13}));
  for (const char* text : {"", "2", "2.0", "2.0.0.0", "a.b.c", "2..0"})
    EXPECT_FALSE(ParsePolicyVersion(text).ok()) << text;
}

TEST(SizeTest, PrintsSizesForPeople) {
  EXPECT_EQ(FormatBytes(0), "0B");
  EXPECT_EQ(FormatBytes(513), "513B");
  EXPECT_EQ(FormatBytes(65536), "64KiB");
  EXPECT_EQ(FormatBytes((uint64_t{3} << 30) / 2), "1.5GiB");
  EXPECT_EQ(FormatBytes((uint64_t{2} << 30) - 1), "1.9GiB");
  EXPECT_EQ(FormatBytes(uint64_t{4} << 40), "4TiB");
}

TEST(BlocksTest, RangesOfBlocksIncludeBothEnds) {
  EXPECT_EQ(*ParseBlocks("7"), (BlockRange{7, 8}));
  EXPECT_EQ(*ParseBlocks("0-99"), (BlockRange{0, 100}));
  EXPECT_EQ(*ParseBlocks("5-5"), (BlockRange{5, 6}));
  for (const char* text : {"", "-", "-5", "5-", "9-3", "1-2-3", "a", "1,2", "18446744073709551615", " 1"}) {
    EXPECT_FALSE(ParseBlocks(text).ok()) << text;
  }
}

TEST(BlocksTest, DiscardRangesAreHalfOpen) {
  EXPECT_EQ(*ParseBeginEnd("7"), (BlockRange{7, 8}));
  EXPECT_EQ(*ParseBeginEnd("0-100"), (BlockRange{0, 100}));
  for (const char* text : {"5-5", "9-3", "5-", "x-y", ""}) EXPECT_FALSE(ParseBeginEnd(text).ok()) << text;
}

TEST(BlocksTest, ItemsHaveTheFormOfTheirCommand) {
  const ItemRange pair = *ParseItem("7:1200:dirty", ItemForm::kPairs);
  EXPECT_EQ(pair.begin, 7u);
  EXPECT_EQ(pair.end, 8u);
  EXPECT_EQ(pair.second, 1200u);
  EXPECT_TRUE(pair.dirty);
  EXPECT_FALSE(ParseItem("7:1200", ItemForm::kPairs)->dirty);
  EXPECT_EQ(ParseItem(" 7\t1200 ", ItemForm::kPairs)->second, 1200u) << "a line of input";
  EXPECT_EQ(ParseItem("4294967295", ItemForm::kCblocks)->end, uint64_t{1} << 32);
  EXPECT_EQ(ParseItem("0-9", ItemForm::kCblocksOrPairs)->end, 10u);
  EXPECT_EQ(ParseItem("7:8", ItemForm::kCblocksOrPairs)->second, 8u);
  EXPECT_EQ(ParseItem("7:4294967295", ItemForm::kValues)->second, 4294967295u);

  EXPECT_FALSE(ParseItem("7", ItemForm::kPairs).ok());
  EXPECT_FALSE(ParseItem("7:1:clean", ItemForm::kPairs).ok());
  EXPECT_FALSE(ParseItem("7:1:dirty:1", ItemForm::kPairs).ok());
  EXPECT_FALSE(ParseItem("7:8", ItemForm::kCblocks).ok());
  EXPECT_FALSE(ParseItem("4294967296", ItemForm::kCblocks).ok());
  EXPECT_FALSE(ParseItem("7:4294967296", ItemForm::kValues).ok());
  EXPECT_FALSE(ParseItem("0-9:5", ItemForm::kPairs).ok());
}

}  // namespace
}  // namespace dmcached::cli
