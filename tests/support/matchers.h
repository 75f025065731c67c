// Matchers for absl::Status and absl::StatusOr.
#ifndef DMCACHED_TESTS_SUPPORT_MATCHERS_H_
#define DMCACHED_TESTS_SUPPORT_MATCHERS_H_

#include <gmock/gmock.h>

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/status.h"

namespace dmcached {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// EXPECT_THAT(device.Flush(), IsOk());
MATCHER(IsOk, negation ? "is an error" : "is OK") {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// EXPECT_THAT(result, StatusIs(absl::StatusCode::kDataLoss));
MATCHER_P(StatusIs, code, std::string(negation ? "is not " : "is ") + absl::StatusCodeToString(code)) {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

// EXPECT_THAT(result, HasReasonIs(Reason::kReadOnly));
MATCHER_P(HasReasonIs, reason,
          std::string(negation ? "does not have" : "has") + " reason " + std::string(ReasonName(reason))) {
  *result_listener << "which is " << StatusOf(arg).ToString();
  return HasReason(StatusOf(arg), reason);
}

// EXPECT_THAT(result, CauseIs(EUCLEAN));
MATCHER_P(CauseIs, cause, std::string(negation ? "does not have" : "has") + " errno " + std::to_string(cause)) {
  *result_listener << "which is " << StatusOf(arg).ToString() << " with errno " << CauseOf(StatusOf(arg));
  return CauseOf(StatusOf(arg)) == cause;
}

}  // namespace dmcached

// So that GoogleTest prints the error instead of bytes.
namespace absl {
template <typename T>
void PrintTo(const StatusOr<T>& result, std::ostream* out) {
  *out << (result.ok() ? "OK with a value" : result.status().ToString());
}
}  // namespace absl

#endif  // DMCACHED_TESTS_SUPPORT_MATCHERS_H_
