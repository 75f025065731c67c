// mapping reserve, release, insert, remove, dirty, clean.
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/batches.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"

namespace dmcached::cli {
namespace {

struct ReserveOptions {
  std::string name;
  uint32_t count = 0;
  uint32_t ttl_ms = 0;
};

// "0-2, 7": the shortest form of ascending cblocks.
std::string Ranges(const std::vector<uint32_t>& cblocks) {
  std::string text;
  for (size_t first = 0; first < cblocks.size();) {
    size_t last = first;
    while (last + 1 < cblocks.size() && cblocks[last + 1] == cblocks[last] + 1) ++last;
    absl::StrAppend(&text, text.empty() ? "" : ", ", cblocks[first]);
    if (last > first) absl::StrAppend(&text, "-", cblocks[last]);
    first = last + 1;
  }
  return text;
}

absl::Status Reserve(Session& session, const ReserveOptions& options) {
  const absl::StatusOr<client::Reservation> reservation =
      session.client().ReserveCblocks(options.name, options.count, options.ttl_ms);
  if (!reservation.ok()) return reservation.status();
  if (session.json) {
    PrintJson(session, ToJson(*reservation));
    return absl::OkStatus();
  }
  session.out << "Reservation " << FormatHex(reservation->id) << " holds "
              << Count(reservation->cblocks.size(), "cblock") << " for " << reservation->ttl_ms
              << " ms: " << Ranges(reservation->cblocks) << ".\n";
  return absl::OkStatus();
}

struct ReleaseOptions {
  std::string name;
  uint64_t reservation = 0;
};

absl::Status Release(Session& session, const ReleaseOptions& options) {
  const absl::StatusOr<uint32_t> released = session.client().ReleaseCblocks(options.name, options.reservation);
  if (!released.ok()) return released.status();
  if (session.json) {
    PrintJson(session, Json::object({{"releasedCount", *released}}));
  } else {
    session.out << "Released " << Count(*released, "cblock") << ".\n";
  }
  return absl::OkStatus();
}

// Of the items of a command that looks plain cblocks up.
ItemForm FormFor(const MutationFlags& flags) {
  return flags.request_id.empty() ? ItemForm::kCblocksOrPairs : ItemForm::kRepeatablePairs;
}

struct MappingOptions {
  std::string name;
  std::vector<std::string> items;
  std::optional<uint64_t> reservation;
  std::optional<client::BlockRange> oblocks;
  bool discard_dirty = false;
  MutationFlags flags;
};

// The oblocks of a batch; for plain cblocks they are what a durable look-up says.
// Errors: NOT_MAPPED, naming the item.
absl::StatusOr<std::vector<uint64_t>> OblocksOf(Session& session, const std::string& name, const ItemBatch& batch) {
  std::vector<uint32_t> unknown;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (!batch.seconds[i]) unknown.push_back(batch.cblocks[i]);
  }
  client::LookupResult found;
  if (!unknown.empty()) {
    absl::StatusOr<client::LookupResult> answer = session.client().LookupCblocks(name, unknown, /*durable=*/true);
    if (!answer.ok()) return answer.status();
    found = *std::move(answer);
  }
  std::vector<uint64_t> oblocks;
  size_t looked_up = 0;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (batch.seconds[i]) {
      oblocks.push_back(*batch.seconds[i]);
      continue;
    }
    const std::optional<client::Mapping>& mapping = found.mappings[looked_up++];
    if (!mapping) return NotMapped(batch.cblocks[i], i);
    oblocks.push_back(mapping->oblock);
  }
  return oblocks;
}

absl::Status Insert(Session& session, const MappingOptions& options) {
  return ApplyBatches(
      session, options.name, options.items, ItemForm::kPairs, options.flags, "Inserted", "mapping",
      [&](const ItemBatch& batch, const client::MutationOptions& mutation) {
        const std::vector<uint64_t> oblocks = Values<uint64_t>(batch);
        return session.client().Apply(
            options.name,
            client::InsertBatch{
                .cblocks = batch.cblocks, .oblocks = oblocks, .dirty = batch.dirty, .reservation = options.reservation},
            mutation);
      });
}

absl::Status Dirty(Session& session, const MappingOptions& options) {
  return ApplyBatches(session, options.name, options.items, ItemForm::kCblocks, options.flags, "Marked dirty",
                      "mapping", [&](const ItemBatch& batch, const client::MutationOptions& mutation) {
                        return session.client().Apply(options.name, client::MarkDirtyBatch{.cblocks = batch.cblocks},
                                                      mutation);
                      });
}

absl::Status Clean(Session& session, const MappingOptions& options) {
  return ApplyBatches(
      session, options.name, options.items, FormFor(options.flags), options.flags, "Marked clean", "mapping",
      [&](const ItemBatch& batch, const client::MutationOptions& mutation) -> absl::StatusOr<client::MutationResult> {
        const absl::StatusOr<std::vector<uint64_t>> oblocks = OblocksOf(session, options.name, batch);
        if (!oblocks.ok()) return oblocks.status();
        return session.client().Apply(options.name,
                                      client::ClearDirtyBatch{.cblocks = batch.cblocks, .oblocks = *oblocks}, mutation);
      });
}

void PrintRemoved(Session& session, const client::MutationResult& result) {
  const uint32_t count = result.removed_count.value_or(0);
  PrintMutation(session, absl::StrCat("Removed ", Count(count, "mapping")), result,
                Json::object({{"removedCount", count}}));
}

absl::Status Remove(Session& session, const MappingOptions& options) {
  if (options.oblocks.has_value() == !options.items.empty()) {
    return UsageError("mapping remove needs either mappings (CBLOCK or CBLOCK:OBLOCK, or -) or --oblocks A-B");
  }
  if (options.oblocks) {
    const absl::StatusOr<client::MutationResult> result = session.client().Apply(
        options.name, client::RemoveBatch{.oblock_range = options.oblocks, .discard_dirty = options.discard_dirty},
        options.flags.ForBatch(0));
    if (!result.ok()) return result.status();
    PrintRemoved(session, *result);
    return absl::OkStatus();
  }
  return ApplyBatches(
      session, options.name, options.items, FormFor(options.flags), options.flags, "Removed", "mapping",
      [&](const ItemBatch& batch, const client::MutationOptions& mutation) -> absl::StatusOr<client::MutationResult> {
        const absl::StatusOr<std::vector<uint64_t>> oblocks = OblocksOf(session, options.name, batch);
        if (!oblocks.ok()) return oblocks.status();
        return session.client().Apply(
            options.name,
            client::RemoveBatch{.cblocks = batch.cblocks, .oblocks = *oblocks, .discard_dirty = options.discard_dirty},
            mutation);
      });
}

void AddReserve(CLI::App& group, Session& session) {
  auto options = std::make_shared<ReserveOptions>();
  CLI::App* command = AddCommand(group, session, "reserve", "Hold free cblocks until they are inserted or released",
                                 "dmcachectl mapping reserve fast0 --count 16 --ttl 30s --json");
  AddName(command, options->name);
  AddParsed(command, "--count", options->count, ParseNumber32, "How many, at most 65536", "N")->required();
  AddParsed(command, "--ttl", options->ttl_ms, ParseMilliseconds, "How long (default: the service's longest)", "TIME");
  OnRun(command, session, options, Reserve);
}

void AddRelease(CLI::App& group, Session& session) {
  auto options = std::make_shared<ReleaseOptions>();
  CLI::App* command = AddCommand(group, session, "release", "Give up what is left of a reservation",
                                 "dmcachectl mapping release fast0 8c1f00d2a4b35e67");
  AddName(command, options->name);
  AddParsed(command, "RESERVATION", options->reservation, ParseHex, "16 hex digits, from `mapping reserve`", "")
      ->required();
  OnRun(command, session, options, Release);
}

std::shared_ptr<MappingOptions> AddMapping(CLI::App& group, Session& session, const std::string& name,
                                           const std::string& description, const std::string& example,
                                           const std::string& items, CLI::App** command) {
  auto options = std::make_shared<MappingOptions>();
  *command = AddCommand(group, session, name, description, example);
  AddName(*command, options->name);
  (*command)->add_option("ITEMS", options->items, items)->type_name("");
  AddMutationFlags(*command, options->flags);
  return options;
}

void AddInsert(CLI::App& group, Session& session) {
  CLI::App* command = nullptr;
  auto options = AddMapping(group, session, "insert", "Map cblocks whose contents are written and flushed to oblocks",
                            "dmcachectl mapping insert fast0 --reservation 8c1f00d2a4b35e67 0:1200 1:77:dirty\n"
                            "  printf '0 1200\\n1 77 dirty\\n' | dmcachectl mapping insert fast0 -",
                            "CBLOCK:OBLOCK or CBLOCK:OBLOCK:dirty, or - for lines of standard input", &command);
  command->get_option("ITEMS")->required();
  AddParsed(command, "--reservation", options->reservation, ParseHex, "The reservation that holds the cblocks", "ID");
  OnRun(command, session, options, Insert);
}

void AddRemove(CLI::App& group, Session& session) {
  CLI::App* command = nullptr;
  auto options = AddMapping(
      group, session, "remove", "Remove mappings",
      "dmcachectl mapping remove fast0 0-15 99:1200\n"
      "  dmcachectl mapping remove fast0 --oblocks 1000-1999 --discard-dirty",
      "CBLOCK or A-B (looked up first; not with --request-id), CBLOCK:OBLOCK, or - for lines of standard input",
      &command);
  AddParsed(command, "--oblocks", options->oblocks, ParseBlocks, "Whatever is mapped in these oblocks", "A-B");
  command->add_flag("--discard-dirty", options->discard_dirty, "Also dirty mappings: their data is lost");
  OnRun(command, session, options, Remove);
}

}  // namespace

void AddMappingCommands(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "mapping", "Reserve, insert, remove, mark and show mappings",
                             "dmcachectl mapping list fast0 --dirty");
  AddReserve(*group, session);
  AddRelease(*group, session);
  AddInsert(*group, session);
  AddRemove(*group, session);
  CLI::App* command = nullptr;
  auto dirty = AddMapping(*group, session, "dirty", "Mark mappings dirty", "dmcachectl mapping dirty fast0 0-99 512",
                          "CBLOCK or A-B, or - for lines of standard input", &command);
  command->get_option("ITEMS")->required();
  OnRun(command, session, dirty, Dirty);
  auto clean = AddMapping(
      *group, session, "clean", "Mark mappings clean, after their data reached the origin",
      "dmcachectl mapping clean fast0 0-99 512:1200",
      "CBLOCK or A-B (looked up first; not with --request-id), CBLOCK:OBLOCK, or - for lines of standard input",
      &command);
  command->get_option("ITEMS")->required();
  OnRun(command, session, clean, Clean);
  AddMappingReadCommands(*group, session);
}

}  // namespace dmcached::cli
