// Checks metadata that is not open, and clears its needs_check flag.
#ifndef DMCACHED_CORE_MAINTENANCE_PATH_CHECK_H_
#define DMCACHED_CORE_MAINTENANCE_PATH_CHECK_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/executor.h"
#include "core/device/device_request.h"
#include "core/maintenance/checker.h"

namespace dmcached {

struct CheckOutcome {
  CheckSummary summary;
  bool needs_check_cleared = false;
};

struct PathCheck {
  std::string path;
  bool clear_needs_check = false;  // If nothing above a note is found.
  Executor* executor = nullptr;
  std::function<absl::Status()> interrupted;  // As CheckSource::Interrupted; null: never.
};

// Takes the device exclusively; writes block 0, and only to clear the flag.  Blocks.
// Errors: those of the opener (DEVICE_NOT_FOUND, DEVICE_IN_USE, READ_ONLY), of CheckMetadata, and IO_ERROR when the
// flag's write or flush fails.
absl::StatusOr<CheckOutcome> CheckPath(const DeviceOpener& opener, const PathCheck& check, CheckSink& sink);

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_PATH_CHECK_H_
