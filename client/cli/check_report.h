// How a check is shown: findings as they come, then the summary, and the exit code.
#ifndef DMCACHED_CLIENT_CLI_CHECK_REPORT_H_
#define DMCACHED_CLIENT_CLI_CHECK_REPORT_H_

#include <string>

#include "client/cli/command.h"
#include "client/cli/progress.h"
#include "dmcached/check_types.h"

namespace dmcached::cli {

inline constexpr int kExitRepairable = 4;
inline constexpr int kExitFatal = 5;

class CheckReport {
 public:
  // `what` is checked.
  CheckReport(Session& session, std::string what);

  client::CheckCallbacks callbacks();
  // Prints the summary and sets the session's exit code: 0 nothing above a note, 4 repairable only, 5 fatal.
  void Finish(const client::CheckSummary& summary);

 private:
  void PrintFinding(const client::CheckFinding& finding);

  Session& session_;
  const std::string what_;
  Progress progress_;
};

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_CHECK_REPORT_H_
