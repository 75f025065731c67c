// What the end-to-end tests say about an rpc's status.
#ifndef DMCACHED_TESTS_E2E_CALL_H_
#define DMCACHED_TESTS_E2E_CALL_H_

#include <gmock/gmock.h>

#include <ostream>
#include <string>

#include "core/base/status.h"
#include "dmcached/v1/error_details.pb.h"
#include "grpcpp/support/status.h"

namespace dmcached {

// The ErrorInfo in the details; empty if there is none.
v1::ErrorInfo ErrorInfoOf(const grpc::Status& status);

// EXPECT_THAT(stub.GetCache(...), Succeeds());
MATCHER(Succeeds, negation ? "fails" : "succeeds") {
  *result_listener << "which is " << arg.error_code() << " " << ErrorInfoOf(arg).reason() << ": "
                   << arg.error_message();
  return arg.ok();
}

// The reason, its canonical code, and a sentence.
MATCHER_P(FailsWith, reason,
          std::string(negation ? "does not fail with " : "fails with ") + std::string(ReasonName(reason))) {
  const v1::ErrorInfo info = ErrorInfoOf(arg);
  *result_listener << "which is " << arg.error_code() << " " << info.reason() << ": " << arg.error_message();
  return info.reason() == std::string(ReasonName(reason)) && info.domain() == "dmcached" &&
         static_cast<int>(arg.error_code()) == static_cast<int>(ReasonCode(reason)) && !arg.error_message().empty();
}

}  // namespace dmcached

namespace grpc {
inline void PrintTo(const Status& status, std::ostream* out) {
  *out << "code " << status.error_code() << ": " << status.error_message();
}
}  // namespace grpc

#endif  // DMCACHED_TESTS_E2E_CALL_H_
