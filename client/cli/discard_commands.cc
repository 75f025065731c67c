// discard set, clear, list.
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/blocks.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

struct DiscardOptions {
  std::string name;
  std::vector<std::string> ranges;
  bool discard_dirty = false;
  MutationFlags flags;
};

absl::StatusOr<std::vector<client::BlockRange>> Ranges(const DiscardOptions& options) {
  std::vector<client::BlockRange> ranges;
  for (const std::string& text : options.ranges) {
    const absl::StatusOr<client::BlockRange> range = ParseBeginEnd(text);
    if (!range.ok()) return UsageError(range.status().message());
    ranges.push_back(*range);
  }
  return ranges;
}

// "5-9 (4 discard blocks)" for one range, a count for more.
std::string Describe(const std::vector<client::BlockRange>& ranges) {
  if (ranges.size() != 1) return Count(ranges.size(), "range") + " of discard blocks";
  const client::BlockRange& range = ranges.front();
  return absl::StrCat(Count(range.end - range.begin, "discard block"), " from ", range.begin, " up to, not including, ",
                      range.end);
}

absl::Status Finish(Session& session, const char* verb, const std::vector<client::BlockRange>& ranges,
                    const absl::StatusOr<client::MutationResult>& result) {
  if (!result.ok()) return result.status();
  PrintMutation(session, absl::StrCat(verb, " ", Describe(ranges)), *result);
  return absl::OkStatus();
}

absl::Status Set(Session& session, const DiscardOptions& options) {
  const absl::StatusOr<std::vector<client::BlockRange>> ranges = Ranges(options);
  if (!ranges.ok()) return ranges.status();
  return Finish(session, "Discarded", *ranges,
                session.client().Apply(
                    options.name, client::SetDiscardsBatch{.ranges = *ranges, .discard_dirty = options.discard_dirty},
                    options.flags.ForBatch(0)));
}

absl::Status Clear(Session& session, const DiscardOptions& options) {
  const absl::StatusOr<std::vector<client::BlockRange>> ranges = Ranges(options);
  if (!ranges.ok()) return ranges.status();
  return Finish(
      session, "Took back the discard of", *ranges,
      session.client().Apply(options.name, client::ClearDiscardsBatch{.ranges = *ranges}, options.flags.ForBatch(0)));
}

struct ListOptions {
  std::string name;
};

absl::Status List(Session& session, const ListOptions& options) {
  const std::vector<Column> columns = {{"BEGIN", true, 15}, {"END", true, 15}, {"BLOCKS", true, 15}};
  client::Stream<client::BlockRange> stream = session.client().ListDiscards(options.name);
  auto range = stream.begin();
  if (!session.json && stream.status().ok()) PrintTitles(session.out, columns);
  for (; range != stream.end() && session.out; ++range) {
    if (session.json) {
      PrintJson(session, ToJson(*range));
    } else {
      PrintRow(session.out, columns,
               {absl::StrCat(range->begin), absl::StrCat(range->end), absl::StrCat(range->end - range->begin)});
    }
  }
  return stream.status();
}

std::shared_ptr<DiscardOptions> AddChange(CLI::App* command) {
  auto options = std::make_shared<DiscardOptions>();
  AddName(command, options->name);
  command
      ->add_option("RANGES", options->ranges,
                   "BEGIN-END in discard blocks, END not included (as `discard list` shows them), or one block")
      ->required()
      ->type_name("");
  AddMutationFlags(command, options->flags);
  return options;
}

}  // namespace

void AddDiscardCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "discard", "Origin ranges whose contents are worthless", "dmcachectl discard list fast0");
  CLI::App* set = AddCommand(*group, session, "set", "Mark origin ranges as worthless",
                             "dmcachectl discard set fast0 0-100 512    (discard blocks 0 to 99, and 512)");
  auto set_options = AddChange(set);
  set->add_flag("--discard-dirty", set_options->discard_dirty, "Although dirty mappings lie there: their data is lost");
  OnRun(set, session, set_options, Set);
  CLI::App* clear = AddCommand(*group, session, "clear", "Take that back, before the first write",
                               "dmcachectl discard clear fast0 0-100      (discard blocks 0 to 99)");
  OnRun(clear, session, AddChange(clear), Clear);
  CLI::App* list = AddCommand(*group, session, "list", "Discarded ranges, in order; END is not included",
                              "dmcachectl discard list fast0 --json");
  auto list_options = std::make_shared<ListOptions>();
  AddName(list, list_options->name);
  OnRun(list, session, list_options, List);
}

}  // namespace dmcached::cli
