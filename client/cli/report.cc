#include "client/cli/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace dmcached::cli {

int ExitCode(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  if (IsUsageError(status)) return kExitUsage;
  const bool no_answer = client::ReasonOf(status).empty() &&
                         (absl::IsUnavailable(status) || absl::IsCancelled(status) || absl::IsDeadlineExceeded(status));
  return no_answer ? kExitUnreachable : kExitFailed;
}

int ReportError(Session& session, const absl::Status& status) {
  if (session.json) {
    session.err << Dump(ToJson(status)) << std::endl;
    return ExitCode(status);
  }
  const std::string message = absl::StrReplaceAll(status.message(), {{"\n", " "}});
  const std::string reason = IsUsageError(status) ? "" : client::ReasonOf(status);
  session.err << "dmcachectl: " << (message.empty() ? absl::StatusCodeToString(status.code()) : message);
  if (!reason.empty()) session.err << " (" << reason << ")";
  session.err << std::endl;
  return ExitCode(status);
}

void PrintJson(Session& session, const Json& json) { session.out << Dump(json) << '\n'; }

void PrintMutation(Session& session, const std::string& sentence, const client::MutationResult& result,
                   const Json& extra) {
  if (session.json) {
    Json json = ToJson(result);
    json.update(extra);
    PrintJson(session, json);
    return;
  }
  session.out << sentence << " (revision " << result.revision << ", transaction " << result.transaction
              << ", durable through transaction " << result.durable_transaction << ").\n";
}

std::string Count(uint64_t number, const std::string& noun) {
  return absl::StrCat(number, " ", noun, number == 1 ? "" : "s");
}

}  // namespace dmcached::cli
