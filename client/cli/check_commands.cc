// check.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/cli/check_report.h"
#include "client/cli/commands.h"
#include "client/cli/offline.h"

namespace dmcached::cli {
namespace {

struct CheckOptions {
  std::string name;
  std::string offline_path;
  bool clear_needs_check = false;
};

absl::Status Check(Session& session, const CheckOptions& options) {
  const bool offline = !options.offline_path.empty();
  if (offline != options.name.empty()) {
    return UsageError("check needs either the name of an open cache or --offline PATH");
  }
  CheckReport report(session, offline ? options.offline_path : absl::StrCat("cache ", options.name));
  const client::CheckCallbacks callbacks = report.callbacks();
  const absl::StatusOr<client::CheckSummary> summary =
      offline
          ? CheckOffline(options.offline_path, options.clear_needs_check, callbacks)
          : session.client().Check({.cache = options.name, .clear_needs_check = options.clear_needs_check}, callbacks);
  if (!summary.ok()) return summary.status();
  report.Finish(*summary);
  return absl::OkStatus();
}

}  // namespace

void AddCheckCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command = AddCommand(app, session, "check",
                                 "Read all metadata of a cache and say what is wrong with it.  Exit code 0: nothing "
                                 "above a note; 4: only what can be repaired; 5: something fatal",
                                 "dmcachectl check fast0\n  dmcachectl check --offline /dev/vg/meta --json");
  command->add_option("NAME", options->name, "Name of an open cache, which goes on working")->type_name("");
  command->add_option("--offline", options->offline_path, "Metadata that nobody has open; needs no service")
      ->type_name("PATH");
  command->add_flag("--clear-needs-check", options->clear_needs_check,
                    "Clear the needs_check flag if nothing worse than a note is found; an open cache takes changes "
                    "again when it is closed and opened");
  OnRun(command, session, options, Check);
}

}  // namespace dmcached::cli
