#include "server/status_util.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "absl/status/statusor.h"
#include "core/base/status.h"
#include "dmcached/v1/error_details.pb.h"

namespace dmcached {
namespace {

v1::ErrorInfo InfoOf(const grpc::Status& status) {
  v1::ErrorStatus details;
  v1::ErrorInfo info;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), status.error_code());
  EXPECT_EQ(details.details_size(), 1);
  if (details.details_size() == 1) {
    EXPECT_EQ(details.details(0).type_url(), "type.googleapis.com/google.rpc.ErrorInfo");
    EXPECT_TRUE(info.ParseFromString(details.details(0).value()));
  }
  return info;
}

TEST(StatusUtilTest, OkHasNeitherTextNorDetails) {
  const grpc::Status status = ToGrpcStatus(absl::OkStatus());
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.error_message(), "");
  EXPECT_EQ(status.error_details(), "");
}

TEST(StatusUtilTest, EveryReasonTravelsWithItsCodeNameAndDomain) {
  for (int i = 0; i <= static_cast<int>(Reason::kShuttingDown); ++i) {
    const Reason reason = static_cast<Reason>(i);
    const grpc::Status status = ToGrpcStatus(MakeError(reason, "what happened"));
    EXPECT_EQ(static_cast<int>(status.error_code()), static_cast<int>(ReasonCode(reason)));
    EXPECT_EQ(status.error_message(), "what happened");
    const v1::ErrorInfo info = InfoOf(status);
    EXPECT_EQ(info.reason(), std::string(ReasonName(reason)));
    EXPECT_EQ(info.domain(), "dmcached");
    EXPECT_TRUE(info.metadata().empty());
  }
}

TEST(StatusUtilTest, ItemAndBatchAreInTheMetadata) {
  const grpc::Status status = ToGrpcStatus(MakeItemError(Reason::kCblockInUse, 17, "cblock 5 is mapped"), 3);
  EXPECT_EQ(status.error_message(), "batch 3: cblock 5 is mapped");
  const v1::ErrorInfo info = InfoOf(status);
  EXPECT_EQ(info.metadata().at("item"), "17");
  EXPECT_EQ(info.metadata().at("batch"), "3");
}

TEST(StatusUtilTest, LongTextIsCutAndDetailsStayBelowTheirLimit) {
  const grpc::Status status = ToGrpcStatus(MakeItemError(Reason::kIoError, 1, std::string(5000, 'x')), 2);
  EXPECT_EQ(status.error_message().size(), kMaxStatusTextBytes);
  EXPECT_LE(status.error_details().size(), kMaxStatusDetailsBytes);
  EXPECT_GT(status.error_details().size(), kMaxStatusDetailsBytes - 8);
  EXPECT_EQ(InfoOf(status).reason(), "IO_ERROR");
}

TEST(StatusUtilTest, TextIsCutBetweenCharactersAndBadBytesAreReplaced) {
  EXPECT_EQ(CutText("a\xc3\xa4z", 2), "a");  // The umlaut needs bytes 1 and 2.
  EXPECT_EQ(CutText("a\xc3\xa4z", 3), "a\xc3\xa4");
  EXPECT_EQ(CutText("\xf0\x9f\x92\xbe!", 5), "\xf0\x9f\x92\xbe!");
  EXPECT_EQ(CutText("a\xff\xc3z", 10), "a??z");
  EXPECT_EQ(CutText("\xc0\x80", 10), "??");            // Overlong.
  EXPECT_EQ(CutText("\xed\xa0\x80", 10), "???");       // A surrogate.
  EXPECT_EQ(CutText("\xf4\x90\x80\x80", 10), "????");  // Beyond the last character.
  EXPECT_EQ(CutText("\xe2\x82", 10), "??");            // Cut off.
}

TEST(StatusUtilTest, ErrorsOfOthersHaveNoDetails) {
  const grpc::Status status = ToGrpcStatus(absl::UnknownError("somebody's"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNKNOWN);
  EXPECT_EQ(status.error_details(), "");
}

TEST(StatusUtilTest, WhatALibraryThrowsIsAnInternalError) {
  const absl::Status thrown = StopExceptions([]() -> absl::Status { throw std::runtime_error("no more of it"); });
  EXPECT_EQ(thrown, absl::InternalError("stopped by a library: no more of it"));
  EXPECT_EQ(StopExceptions([]() -> absl::StatusOr<int> { return 7; }).value_or(0), 7);
}

}  // namespace
}  // namespace dmcached
