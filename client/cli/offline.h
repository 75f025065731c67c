// Commands that need no daemon.
#ifndef DMCACHED_CLIENT_CLI_OFFLINE_H_
#define DMCACHED_CLIENT_CLI_OFFLINE_H_

#include <string>

#include "absl/status/statusor.h"
#include "dmcached/check_types.h"

namespace dmcached::cli {

// Checks metadata at `path` on this machine, which nobody has open.
absl::StatusOr<client::CheckSummary> CheckOffline(const std::string& path, bool clear_needs_check,
                                                  const client::CheckCallbacks& callbacks);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_OFFLINE_H_
