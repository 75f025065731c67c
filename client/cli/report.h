// How results and errors are printed, and the exit code that goes with them.
#ifndef DMCACHED_CLIENT_CLI_REPORT_H_
#define DMCACHED_CLIENT_CLI_REPORT_H_

#include <string>

#include "absl/status/status.h"
#include "client/cli/command.h"
#include "client/cli/json.h"

namespace dmcached::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitUnreachable = 3;

int ExitCode(const absl::Status& status);

// Prints an error on the error stream, one sentence or one JSON object; returns the exit code.
int ReportError(Session& session, const absl::Status& status);

void PrintJson(Session& session, const Json& json);

// `sentence` without its full stop, or with --json the numbers of `result` and `extra`.
void PrintMutation(Session& session, const std::string& sentence, const client::MutationResult& result,
                   const Json& extra = Json::object());

// "1 mapping", "5 mappings".
std::string Count(uint64_t number, const std::string& noun);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_REPORT_H_
