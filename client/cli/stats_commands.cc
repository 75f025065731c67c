// stats show, set.
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

struct StatsOptions {
  std::string name;
  client::Stats stats;
  MutationFlags flags;
};

absl::Status Show(Session& session, const StatsOptions& options) {
  const absl::StatusOr<client::Stats> stats = session.client().GetStats(options.name);
  if (!stats.ok()) return stats.status();
  if (session.json) {
    PrintJson(session, ToJson(*stats));
    return absl::OkStatus();
  }
  PrintTable(session.out, {{""}, {"HITS", true}, {"MISSES", true}},
             {{"read", absl::StrCat(stats->read_hits), absl::StrCat(stats->read_misses)},
              {"write", absl::StrCat(stats->write_hits), absl::StrCat(stats->write_misses)}});
  return absl::OkStatus();
}

absl::Status Set(Session& session, const StatsOptions& options) {
  const absl::StatusOr<client::MutationResult> result =
      session.client().Apply(options.name, client::SetStatsBatch{options.stats}, options.flags.ForBatch(0));
  if (!result.ok()) return result.status();
  PrintMutation(session, absl::StrCat("Set the counters of ", options.name), *result);
  return absl::OkStatus();
}

}  // namespace

void AddStatsCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "stats", "The hit and miss counters of the superblock", "dmcachectl stats show fast0");
  auto show_options = std::make_shared<StatsOptions>();
  CLI::App* show = AddCommand(*group, session, "show", "Show the four counters", "dmcachectl stats show fast0 --json");
  AddName(show, show_options->name);
  OnRun(show, session, show_options, Show);

  auto options = std::make_shared<StatsOptions>();
  CLI::App* set =
      AddCommand(*group, session, "set", "Set the four counters",
                 "dmcachectl stats set fast0 --read-hits 100 --read-misses 5 --write-hits 40 --write-misses 2");
  AddName(set, options->name);
  AddParsed(set, "--read-hits", options->stats.read_hits, ParseNumber32, "32 bits", "N")->required();
  AddParsed(set, "--read-misses", options->stats.read_misses, ParseNumber32, "32 bits", "N")->required();
  AddParsed(set, "--write-hits", options->stats.write_hits, ParseNumber32, "32 bits", "N")->required();
  AddParsed(set, "--write-misses", options->stats.write_misses, ParseNumber32, "32 bits", "N")->required();
  AddMutationFlags(set, options->flags);
  OnRun(set, session, options, Set);
}

}  // namespace dmcached::cli
