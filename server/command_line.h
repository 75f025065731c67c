// The daemon's flags.
#ifndef DMCACHED_SERVER_COMMAND_LINE_H_
#define DMCACHED_SERVER_COMMAND_LINE_H_

#include <iosfwd>
#include <optional>

#include "server/config.h"

namespace dmcached {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;  // Could not start, or not stop clean.
inline constexpr int kExitUsage = 2;    // Wrong flags or configuration.

struct CommandLineResult {
  Config config;
  std::optional<int> exit_code;  // Set: the process ends with it (--help, --version, or an error that was printed).
};

// Reads the flags, and the configuration file that they name; flags win.  --help and --version go to `out`, one
// sentence about an error to `err`.
CommandLineResult ParseCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_COMMAND_LINE_H_
