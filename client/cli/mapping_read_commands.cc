// mapping lookup, list.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/blocks.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

// Wide enough for any number, because the rows are not known when the titles are printed.
std::vector<Column> MappingColumns() {
  return {{"CBLOCK", true, 10}, {"OBLOCK", true, 15}, {"DIRTY", false, 10}, {"HINT", true, 10}};
}

std::string DirtyText(const client::Mapping& mapping) {
  if (mapping.dirty_stored && *mapping.dirty_stored != mapping.dirty) return "assumed";
  return mapping.dirty ? "yes" : "no";
}

void PrintMapping(Session& session, const client::Mapping& mapping) {
  if (session.json) {
    PrintJson(session, ToJson(mapping));
    return;
  }
  PrintRow(session.out, MappingColumns(),
           {absl::StrCat(mapping.cblock), absl::StrCat(mapping.oblock), DirtyText(mapping),
            mapping.hint ? absl::StrCat(*mapping.hint) : "-"});
}

struct LookupOptions {
  std::string name;
  std::vector<std::string> cblocks;
  std::vector<std::string> oblocks;
  bool durable = false;
};

void PrintUnmapped(Session& session, const char* kind, uint64_t block) {
  if (session.json) {
    PrintJson(session, Json::object({{kind, block}, {"mapped", false}}));
    return;
  }
  const std::string number = absl::StrCat(block);
  const bool cblock = std::string(kind) == "cblock";
  PrintRow(session.out, MappingColumns(), {cblock ? number : "-", cblock ? "-" : number, "not mapped", ""});
}

absl::StatusOr<std::vector<client::BlockRange>> ParseRanges(const std::vector<std::string>& texts, uint64_t limit) {
  std::vector<client::BlockRange> ranges;
  for (const std::string& text : texts) {
    const absl::StatusOr<client::BlockRange> range = ParseBlocks(text);
    if (!range.ok()) return UsageError(range.status().message());
    if (range->end - 1 > limit) return UsageError(absl::StrCat("\"", text, "\" is beyond the largest block, ", limit));
    ranges.push_back(*range);
  }
  return ranges;
}

// Looks up all blocks of `ranges`, a message at a time, and prints the answers in their order.
template <typename Block, typename Lookup>
absl::Status LookupRanges(Session& session, const char* kind, const std::vector<client::BlockRange>& ranges,
                          Lookup lookup) {
  std::vector<Block> blocks;
  const auto send = [&]() -> absl::Status {
    const absl::StatusOr<client::LookupResult> result = lookup(blocks);
    if (!result.ok()) return result.status();
    for (size_t i = 0; i < blocks.size(); ++i) {
      const std::optional<client::Mapping>& mapping = result->mappings[i];
      if (mapping) {
        PrintMapping(session, *mapping);
      } else {
        PrintUnmapped(session, kind, blocks[i]);
      }
    }
    blocks.clear();
    return absl::OkStatus();
  };
  for (const client::BlockRange& range : ranges) {
    for (uint64_t block = range.begin; block < range.end; ++block) {
      blocks.push_back(static_cast<Block>(block));
      if (blocks.size() < client::kMaxItemsPerMessage) continue;
      if (absl::Status status = send(); !status.ok()) return status;
    }
  }
  return blocks.empty() ? absl::OkStatus() : send();
}

absl::Status Lookup(Session& session, const LookupOptions& options) {
  if (options.cblocks.empty() == options.oblocks.empty()) {
    return UsageError("mapping lookup needs either --cblocks or --oblocks");
  }
  const bool by_cblock = !options.cblocks.empty();
  const absl::StatusOr<std::vector<client::BlockRange>> ranges =
      by_cblock ? ParseRanges(options.cblocks, UINT32_MAX) : ParseRanges(options.oblocks, UINT64_MAX - 1);
  if (!ranges.ok()) return ranges.status();
  if (!session.json) PrintTitles(session.out, MappingColumns());
  if (by_cblock) {
    return LookupRanges<uint32_t>(session, "cblock", *ranges, [&](const std::vector<uint32_t>& cblocks) {
      return session.client().LookupCblocks(options.name, cblocks, options.durable);
    });
  }
  return LookupRanges<uint64_t>(session, "oblock", *ranges, [&](const std::vector<uint64_t>& oblocks) {
    return session.client().LookupOblocks(options.name, oblocks, options.durable);
  });
}

struct ListOptions {
  std::string name;
  client::ListMappingsRequest request;
};

absl::Status List(Session& session, const ListOptions& options) {
  client::Stream<client::Mapping> stream = session.client().ListMappings(options.name, options.request);
  auto mapping = stream.begin();
  // No titles above an error.
  if (!session.json && stream.status().ok()) PrintTitles(session.out, MappingColumns());
  for (; mapping != stream.end(); ++mapping) {
    PrintMapping(session, *mapping);
    if (!session.out) break;  // Nobody reads on.
  }
  return stream.status();
}

void AddLookup(CLI::App& group, Session& session) {
  auto options = std::make_shared<LookupOptions>();
  CLI::App* command = AddCommand(group, session, "lookup", "Look up single mappings by cblock or by oblock",
                                 "dmcachectl mapping lookup fast0 --oblocks 1200 5000-5009 --durable");
  AddName(command, options->name);
  command->add_option("--cblocks", options->cblocks, "CBLOCK or A-B, any number")->type_name("BLOCKS")->delimiter(',');
  command->add_option("--oblocks", options->oblocks, "OBLOCK or A-B, any number")->type_name("BLOCKS")->delimiter(',');
  command->add_flag("--durable", options->durable, "Wait until what was seen is durable: before acting on the answer");
  OnRun(command, session, options, Lookup);
}

void AddList(CLI::App& group, Session& session) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = AddCommand(group, session, "list", "All mappings, in cblock order",
                                 "dmcachectl mapping list fast0 --dirty --cblocks 0-9999");
  AddName(command, options->name);
  command->add_flag("--dirty", options->request.dirty_only, "Only dirty mappings");
  AddParsed(command, "--cblocks", options->request.cblock_range, ParseBlocks, "Only these cblocks", "A-B");
  AddParsed(command, "--oblocks", options->request.oblock_range, ParseBlocks, "Only these oblocks", "A-B");
  CLI::Option* policy = command->add_option("--policy", options->request.policy_name,
                                            "Show hints as this policy would take them (default: the stored one)");
  policy->type_name("NAME");
  AddParsed(command, "--policy-version", options->request.policy_version, ParsePolicyVersion, "Version of that policy",
            "X.Y.Z")
      ->needs(policy);
  OnRun(command, session, options, List);
}

}  // namespace

void AddMappingReadCommands(CLI::App& mapping, Session& session) {
  AddLookup(mapping, session);
  AddList(mapping, session);
}

}  // namespace dmcached::cli
