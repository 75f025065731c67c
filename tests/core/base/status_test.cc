#include "core/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <set>
#include <string>

#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using Code = absl::StatusCode;

// The API's sentence about codes; every reason that it does not name is FAILED_PRECONDITION.
const std::map<std::string, Code>& NamedCodes() {
  static const auto* const codes = new std::map<std::string, Code>{
      {"CACHE_NOT_OPEN", Code::kNotFound},
      {"DEVICE_NOT_FOUND", Code::kNotFound},
      {"CACHE_EXISTS", Code::kAlreadyExists},
      {"CBLOCK_IN_USE", Code::kAlreadyExists},
      {"OBLOCK_ALREADY_MAPPED", Code::kAlreadyExists},
      {"CBLOCK_OUT_OF_RANGE", Code::kOutOfRange},
      {"OBLOCK_OUT_OF_RANGE", Code::kOutOfRange},
      {"DBLOCK_OUT_OF_RANGE", Code::kOutOfRange},
      {"INVALID_REQUEST", Code::kInvalidArgument},
      {"POLICY_INVALID", Code::kInvalidArgument},
      {"REQUEST_ID_REUSED", Code::kInvalidArgument},
      {"METADATA_NO_SPACE", Code::kResourceExhausted},
      {"NO_FREE_CBLOCKS", Code::kResourceExhausted},
      {"TOO_MANY_ITEMS", Code::kResourceExhausted},
      {"TOO_MANY_BLOCKS", Code::kResourceExhausted},
      {"REVISION_MISMATCH", Code::kAborted},
      {"INCARNATION_CHANGED", Code::kAborted},
      {"RESERVATION_EXPIRED", Code::kAborted},
      {"SNAPSHOT_REVOKED", Code::kAborted},
      {"LOST", Code::kAborted},
      {"METADATA_CORRUPT", Code::kDataLoss},
      {"OUTCOME_UNKNOWN", Code::kUnknown},
      {"OVERLOADED", Code::kUnavailable},
      {"RESERVE_HOLDOFF", Code::kUnavailable},
      {"SHUTTING_DOWN", Code::kUnavailable},
      {"ROLE_TOO_LOW", Code::kPermissionDenied},
      {"PATH_NOT_ALLOWED", Code::kPermissionDenied},
      {"IO_ERROR", Code::kInternal},
  };
  return *codes;
}

TEST(StatusTest, EveryReasonHasItsNameAndCode) {
  std::set<std::string> names;
  for (int number = 0; number <= static_cast<int>(Reason::kShuttingDown); ++number) {
    const auto reason = static_cast<Reason>(number);
    const std::string name(ReasonName(reason));
    SCOPED_TRACE(name);
    EXPECT_TRUE(names.insert(name).second) << "named twice";
    const auto named = NamedCodes().find(name);
    EXPECT_EQ(ReasonCode(reason), named == NamedCodes().end() ? Code::kFailedPrecondition : named->second);
    EXPECT_GT(ReasonCause(reason), 0);
    EXPECT_EQ(ReasonOf(MakeError(reason, "x")), reason);
  }
  EXPECT_EQ(names.size(), 43u);
  for (const auto& [name, code] : NamedCodes()) EXPECT_TRUE(names.contains(name)) << name;
}

TEST(StatusTest, ErrorCarriesReasonCauseAndMessage) {
  const absl::Status status = MakeError(Reason::kMetadataCorrupt, "btree node 81: stored location 17", ENOTBLK);
  EXPECT_THAT(status, StatusIs(Code::kDataLoss));
  EXPECT_THAT(status, HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_EQ(CauseOf(status), ENOTBLK);
  EXPECT_EQ(status.message(), "btree node 81: stored location 17");
  EXPECT_EQ(ItemOf(status), std::nullopt);
}

TEST(StatusTest, CauseDefaultsToTheReasons) { EXPECT_EQ(CauseOf(MakeError(Reason::kReadOnly, "x")), EROFS); }

TEST(StatusTest, ItemErrorNamesItsItem) {
  const absl::Status status = MakeItemError(Reason::kCblockOutOfRange, uint64_t{1} << 40, "cblock 9");
  EXPECT_EQ(ItemOf(status), uint64_t{1} << 40);
  EXPECT_THAT(status, StatusIs(Code::kOutOfRange));
}

TEST(StatusTest, ContextComesFirstAndPayloadsStay) {
  const absl::Status status = WithContext(MakeItemError(Reason::kNotMapped, 3, "cblock 7"), "clear dirty");
  EXPECT_EQ(status.message(), "clear dirty: cblock 7");
  EXPECT_THAT(status, HasReasonIs(Reason::kNotMapped));
  EXPECT_EQ(ItemOf(status), 3u);
  EXPECT_EQ(CauseOf(status), ENODATA);
  EXPECT_THAT(WithContext(absl::OkStatus(), "anything"), IsOk());
}

TEST(StatusTest, ForeignErrorsHaveNoReason) {
  EXPECT_EQ(ReasonOf(absl::InternalError("x")), std::nullopt);
  EXPECT_EQ(CauseOf(absl::InternalError("x")), 0);
  EXPECT_EQ(ReasonOf(absl::OkStatus()), std::nullopt);
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return MakeError(Reason::kInvalidRequest, "odd");
  return number / 2;
}
absl::StatusOr<int> Quarter(int number) {
  DMCACHED_ASSIGN_OR_RETURN(const int half, Half(number));
  DMCACHED_RETURN_IF_ERROR(Half(half).status());
  return Half(half);
}

TEST(StatusTest, MacrosPassTheFirstErrorOn) {
  EXPECT_EQ(*Quarter(12), 3);
  EXPECT_THAT(Quarter(6), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(Quarter(7), HasReasonIs(Reason::kInvalidRequest));
}

}  // namespace
}  // namespace dmcached
