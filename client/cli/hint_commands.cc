// hint begin, save, list.
#include "absl/strings/str_cat.h"
#include "client/cli/batches.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

struct BeginOptions {
  std::string name;
  client::BeginHintsBatch batch = {.policy_name = "", .policy_version = {2, 0, 0}, .hint_size_bytes = 4};
  MutationFlags flags;
};

absl::Status Begin(Session& session, const BeginOptions& options) {
  const absl::StatusOr<client::MutationResult> result =
      session.client().Apply(options.name, options.batch, options.flags.ForBatch(0));
  if (!result.ok()) return result.status();
  PrintMutation(session,
                absl::StrCat("Hints of ", options.name, " are for policy ", options.batch.policy_name, " ",
                             FormatPolicyVersion(options.batch.policy_version)),
                *result);
  return absl::OkStatus();
}

struct SaveOptions {
  std::string name;
  std::vector<std::string> items;
  MutationFlags flags;
};

absl::Status Save(Session& session, const SaveOptions& options) {
  return ApplyBatches(session, options.name, options.items, ItemForm::kValues, options.flags, "Saved", "hint",
                      [&](const ItemBatch& batch, const client::MutationOptions& mutation) {
                        const std::vector<uint32_t> hints = Values<uint32_t>(batch);
                        return session.client().Apply(
                            options.name, client::SaveHintsBatch{.cblocks = batch.cblocks, .hints = hints}, mutation);
                      });
}

struct ListOptions {
  std::string name;
  client::ListHintsRequest request;
};

absl::Status List(Session& session, const ListOptions& options) {
  const std::vector<Column> columns = {{"CBLOCK", true, 10}, {"HINT", true, 10}};
  client::Stream<client::Hint> stream = session.client().ListHints(options.name, options.request);
  auto hint = stream.begin();
  if (!session.json && stream.status().ok()) PrintTitles(session.out, columns);
  for (; hint != stream.end() && session.out; ++hint) {
    if (session.json) {
      PrintJson(session, ToJson(*hint));
    } else {
      PrintRow(session.out, columns, {absl::StrCat(hint->cblock), absl::StrCat(hint->value)});
    }
  }
  return stream.status();
}

void AddBegin(CLI::App& group, Session& session) {
  auto options = std::make_shared<BeginOptions>();
  CLI::App* command =
      AddCommand(group, session, "begin", "Start hints of a policy; the stored ones are kept if it is the same",
                 "dmcachectl hint begin fast0 smq --version 2.0.0 --hint-size 4");
  AddName(command, options->name);
  command->add_option("POLICY", options->batch.policy_name, "Name of the policy, at most 15 characters")
      ->required()
      ->type_name("");
  AddParsed(command, "--version", options->batch.policy_version, ParsePolicyVersion, "Its version (2.0.0)", "X.Y.Z");
  AddParsed(command, "--hint-size", options->batch.hint_size_bytes, ParseNumber32, "Bytes of a hint: 4 (default) or 0",
            "0|4");
  AddMutationFlags(command, options->flags);
  OnRun(command, session, options, Begin);
}

void AddSave(CLI::App& group, Session& session) {
  auto options = std::make_shared<SaveOptions>();
  CLI::App* command = AddCommand(group, session, "save", "Store hints",
                                 "dmcachectl hint save fast0 0:17 1:42\n"
                                 "  printf '0 17\\n1 42\\n' | dmcachectl hint save fast0 -");
  AddName(command, options->name);
  command->add_option("ITEMS", options->items, "CBLOCK:VALUE, or - for lines of standard input")
      ->required()
      ->type_name("");
  AddMutationFlags(command, options->flags);
  OnRun(command, session, options, Save);
}

void AddList(CLI::App& group, Session& session) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = AddCommand(group, session, "list", "Valid hints of mapped cblocks, in cblock order",
                                 "dmcachectl hint list fast0 --json");
  AddName(command, options->name);
  CLI::Option* policy = command->add_option("--policy", options->request.policy_name,
                                            "As this policy would take them (default: the stored one)");
  policy->type_name("NAME");
  AddParsed(command, "--policy-version", options->request.policy_version, ParsePolicyVersion, "Version of that policy",
            "X.Y.Z")
      ->needs(policy);
  OnRun(command, session, options, List);
}

}  // namespace

void AddHintCommands(CLI::App& app, Session& session) {
  CLI::App* group =
      AddGroup(app, "hint", "Hints that a cache policy keeps per cache block", "dmcachectl hint list fast0");
  AddBegin(*group, session);
  AddSave(*group, session);
  AddList(*group, session);
}

}  // namespace dmcached::cli
