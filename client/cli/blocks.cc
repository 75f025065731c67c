#include "client/cli/blocks.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/size.h"

namespace dmcached::cli {
namespace {

constexpr uint64_t kMaxNumber = std::numeric_limits<uint64_t>::max();

absl::Status Bad(const std::string& text, const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" ", what));
}

// "A" or "A-B" -> (A, B or A).
absl::StatusOr<std::pair<uint64_t, uint64_t>> ParseTwo(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits('-', 1));
  const absl::StatusOr<uint64_t> first = ParseNumber(parts.front());
  const absl::StatusOr<uint64_t> last = ParseNumber(parts.back());
  if (!first.ok() || !last.ok()) return Bad(text, "is neither a block number nor a range like 0-99");
  return std::make_pair(*first, *last);
}

const char* Expected(ItemForm form) {
  switch (form) {
    case ItemForm::kCblocks:
      return "is neither a cblock nor a range of cblocks like 0-99";
    case ItemForm::kCblocksOrPairs:
      return "is neither CBLOCK, a range like 0-99, nor CBLOCK:OBLOCK";
    case ItemForm::kRepeatablePairs:
      return "is not CBLOCK:OBLOCK; with --request-id a plain cblock will not do, because a repeat would look it up "
             "again and find something else";
    case ItemForm::kPairs:
      return "is not CBLOCK:OBLOCK or CBLOCK:OBLOCK:dirty";
    case ItemForm::kValues:
      return "is not CBLOCK:VALUE";
  }
  return "is not understood";
}

absl::StatusOr<ItemRange> ParseCblocks(const std::string& text, ItemForm form) {
  const absl::StatusOr<client::BlockRange> range = ParseBlocks(text);
  if (!range.ok()) {
    return text.find('-') == std::string::npos ? Bad(text, Expected(form)) : range.status();
  }
  if (range->end - 1 > std::numeric_limits<uint32_t>::max())
    return Bad(text, "is beyond the largest cblock, 4294967295");
  return ItemRange{.begin = static_cast<uint32_t>(range->begin), .end = range->end};
}

}  // namespace

absl::StatusOr<client::BlockRange> ParseBlocks(const std::string& text) {
  const absl::StatusOr<std::pair<uint64_t, uint64_t>> two = ParseTwo(text);
  if (!two.ok()) return two.status();
  if (two->first > two->second) return Bad(text, "ends before it begins");
  if (two->second == kMaxNumber) return Bad(text, "is too large");
  return client::BlockRange{.begin = two->first, .end = two->second + 1};
}

absl::StatusOr<client::BlockRange> ParseBeginEnd(const std::string& text) {
  const absl::StatusOr<std::pair<uint64_t, uint64_t>> two = ParseTwo(text);
  if (!two.ok()) return two.status();
  if (text.find('-') == std::string::npos) return ParseBlocks(text);
  if (two->first > two->second) return Bad(text, "ends before it begins");
  if (two->first == two->second) return Bad(text, "is empty: the END of a discard range does not belong to it");
  return client::BlockRange{.begin = two->first, .end = two->second};
}

absl::StatusOr<ItemRange> ParseItem(const std::string& text, ItemForm form) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::ByAnyChar(": \t"), absl::SkipEmpty());
  const bool cblocks = form == ItemForm::kCblocks || form == ItemForm::kCblocksOrPairs;
  if (parts.size() == 1 && cblocks) return ParseCblocks(parts[0], form);
  const bool marked = form == ItemForm::kPairs && parts.size() == 3;
  if (form == ItemForm::kCblocks || (parts.size() != 2 && !marked) || (marked && parts[2] != "dirty")) {
    return Bad(text, Expected(form));
  }
  const absl::StatusOr<uint32_t> cblock = ParseNumber32(parts[0]);
  const absl::StatusOr<uint64_t> second = ParseNumber(parts[1]);
  if (!cblock.ok() || !second.ok()) return Bad(text, Expected(form));
  if (form == ItemForm::kValues && *second > std::numeric_limits<uint32_t>::max()) {
    return Bad(text, "has a hint of more than 32 bits");
  }
  return ItemRange{.begin = *cblock, .end = uint64_t{*cblock} + 1, .second = *second, .dirty = marked};
}

}  // namespace dmcached::cli
