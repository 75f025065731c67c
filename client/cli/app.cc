#include "client/cli/app.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/command.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"

namespace dmcached::cli {
namespace {

// The innermost command of the command line.
const CLI::App& Chosen(const CLI::App& app) {
  const std::vector<CLI::App*> chosen = app.get_subcommands();
  return chosen.empty() ? app : Chosen(*chosen.front());
}

std::string FullName(const CLI::App& app) {
  return app.get_parent() == nullptr ? "dmcachectl" : FullName(*app.get_parent()) + " " + app.get_name();
}

std::string CommandNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(command->get_name());
  }
  return absl::StrJoin(names, ", ");
}

// CLI11's message as a sentence that says what would be right.
absl::Status Explain(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& chosen = Chosen(app);
  const std::string name = FullName(chosen);
  const bool group = chosen.get_require_subcommand_min() > 0;
  if (!group) return UsageError(absl::StrCat(error.what(), "; see ", name, " --help"));
  const std::vector<std::string> rest = chosen.remaining();
  if (rest.empty())
    return UsageError(absl::StrCat("a command is missing after \"", name, "\": ", CommandNames(chosen)));
  const bool option = rest.front().front() == '-';
  return UsageError(absl::StrCat("\"", rest.front(), option ? "\" is no option of " : "\" is no command of ", name,
                                 "; ", option ? "its commands are: " : "there are: ", CommandNames(chosen)));
}

void ReadEnvironment(const char* name, std::string& value) {
  if (const char* found = std::getenv(name); found != nullptr && *found != 0) value = found;
}

}  // namespace

int Run(const std::vector<std::string>& arguments, std::istream& in, std::ostream& out, std::ostream& err,
        bool err_is_terminal) {
  Session session(in, out, err);
  session.err_is_terminal = err_is_terminal;
  // Not CLI11's envname: the option exists at the program and at its commands, and the environment must not win there.
  ReadEnvironment("DMCACHED_ADDRESS", session.address);
  ReadEnvironment("DMCACHED_TLS_CA", session.tls.ca);
  ReadEnvironment("DMCACHED_TLS_CERT", session.tls.certificate);
  ReadEnvironment("DMCACHED_TLS_KEY", session.tls.key);
  ReadEnvironment("DMCACHED_TLS_SERVER_NAME", session.tls.server_name);
  CLI::App app("dmcachectl manages dm-cache metadata through a dmcached daemon.", "dmcachectl");
  app.footer(
      "Example:\n  dmcachectl cache list\n"
      "  dmcachectl --address node1:7443 --tls-ca ca.crt --tls-cert tls.crt --tls-key tls.key cache list\n"
      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no answer from the service; "
      "of check also 4 something to repair, 5 something fatal.");
  app.set_version_flag("--version", "dmcachectl " DMCACHED_VERSION);
  app.require_subcommand(1);
  AddCommonOptions(app, session);
  AddServerCommands(app, session);
  AddCacheCommands(app, session);
  AddCheckCommand(app, session);
  AddMappingCommands(app, session);
  AddDiscardCommands(app, session);
  AddHintCommands(app, session);
  AddStatsCommands(app, session);
  AddTopCommand(app, session);
  try {
    // CLI11 takes the arguments from the back.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& success) {  // --help and --version.
    app.exit(success, out, err);
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    // A failed parse may have stopped before it came to --json.
    session.json = session.json || std::find(arguments.begin(), arguments.end(), "--json") != arguments.end();
    return ReportError(session, Explain(app, error));
  }
  if (const std::string wrong = CheckAddress(session.address); !wrong.empty()) {
    return ReportError(session, UsageError("DMCACHED_ADDRESS: " + wrong));
  }
  const absl::Status status = session.action(session);
  out.flush();
  if (!status.ok()) return ReportError(session, status);
  if (!out) return ReportError(session, absl::UnknownError("the output cannot be written"));
  return session.exit_code;
}

}  // namespace dmcached::cli
