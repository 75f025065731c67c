#include "tests/e2e/call.h"

namespace dmcached {

v1::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  v1::ErrorStatus details;
  v1::ErrorInfo info;
  if (details.ParseFromString(status.error_details()) && details.details_size() > 0) {
    info.ParseFromString(details.details(0).value());
  }
  return info;
}

}  // namespace dmcached
