// cache create, open, close, delete, list, show, resize.
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/superblock_fields.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

std::string OrNone(const std::string& text) { return text.empty() ? "none" : text; }

absl::Status Create(Session& session, const client::CreateRequest& request) {
  const absl::StatusOr<client::Cache> cache = session.client().CreateCache(request);
  if (!cache.ok()) return cache.status();
  if (request.validate_only) {
    if (session.json) {
      PrintJson(session, Json::object({{"valid", true}}));
    } else {
      session.out << "Creating " << request.name << " would succeed; nothing was changed.\n";
    }
    return absl::OkStatus();
  }
  if (session.json) {
    PrintJson(session, ToJson(*cache));
    return absl::OkStatus();
  }
  session.out << "Created " << cache->name << ": " << cache->superblock.cache_blocks << " cache blocks of "
              << FormatBytes(cache->superblock.data_block_size_sectors * kSectorBytes) << ", metadata version "
              << cache->superblock.version << " on " << cache->metadata_path << ".\n";
  return absl::OkStatus();
}

absl::Status Open(Session& session, const client::OpenRequest& request) {
  const absl::StatusOr<client::OpenResult> result = session.client().OpenCache(request);
  if (!result.ok()) return result.status();
  const client::Cache& cache = result->cache;
  if (session.json) {
    Json json = ToJson(cache);
    json["adopted"] = result->adopted;
    PrintJson(session, json);
    return absl::OkStatus();
  }
  session.out << "Opened " << cache.name << " (" << Word(cache.state) << "): " << cache.mapped_blocks << " of "
              << cache.superblock.cache_blocks << " cache blocks mapped, " << cache.dirty_blocks << " dirty.\n";
  if (result->adopted) {
    session.out << "The metadata was not shut down clean: every mapping is dirty now, discards and hints are gone.\n";
  }
  if (cache.must_assume_all_dirty) {
    session.out << "The metadata was not shut down clean: every mapping must be taken as dirty.\n";
  }
  return absl::OkStatus();
}

void PrintGone(Session& session, const std::string& name, const char* state) {
  if (session.json) {
    PrintJson(session, Json::object({{"name", name}, {"state", state}}));
  } else {
    session.out << name << " is " << state << ".\n";
  }
}

absl::Status Close(Session& session, const client::CloseRequest& request) {
  if (absl::Status status = session.client().CloseCache(request); !status.ok()) return status;
  PrintGone(session, request.name, "closed");
  return absl::OkStatus();
}

absl::Status Delete(Session& session, const client::DeleteRequest& request) {
  if (absl::Status status = session.client().DeleteCache(request); !status.ok()) return status;
  PrintGone(session, request.name, "deleted");
  return absl::OkStatus();
}

struct None {};

absl::Status List(Session& session, const None&) {
  std::vector<std::vector<std::string>> rows;
  std::string token;
  do {
    const absl::StatusOr<client::CachePage> page = session.client().ListCaches(/*page_size=*/0, token);
    if (!page.ok()) return page.status();
    for (const client::Cache& cache : page->caches) {
      if (session.json) {
        PrintJson(session, ToJson(cache));
        continue;
      }
      const client::Superblock& superblock = cache.superblock;
      rows.push_back({cache.name, Word(cache.state), FormatBytes(superblock.data_block_size_sectors * kSectorBytes),
                      absl::StrCat(superblock.cache_blocks), absl::StrCat(cache.mapped_blocks),
                      absl::StrCat(cache.dirty_blocks), absl::StrCat(cache.free_blocks), cache.metadata_path});
    }
    token = page->next_page_token;
  } while (!token.empty());
  if (session.json) return absl::OkStatus();
  PrintTable(session.out,
             {{"NAME"},
              {"STATE"},
              {"BLOCK", true},
              {"BLOCKS", true},
              {"MAPPED", true},
              {"DIRTY", true},
              {"FREE", true},
              {"METADATA"}},
             rows);
  return absl::OkStatus();
}

struct NameOptions {
  std::string name;
};

absl::Status Show(Session& session, const NameOptions& options) {
  const absl::StatusOr<client::Cache> cache = session.client().GetCache(options.name);
  if (!cache.ok()) return cache.status();
  if (session.json) {
    PrintJson(session, ToJson(*cache));
    return absl::OkStatus();
  }
  Fields fields = {{"name", cache->name}, {"state", Word(cache->state)}};
  if (!cache->last_error.empty()) fields.emplace_back("last error", cache->last_error);
  const std::string device = absl::StrCat(cache->metadata_path, ", ", FormatBytes(cache->metadata_device_bytes),
                                          cache->direct_io ? ", direct I/O" : ", buffered I/O");
  fields.insert(fields.end(),
                {{"metadata", device},
                 {"fast device", OrNone(cache->fast_path)},
                 {"origin device", OrNone(cache->origin_path)},
                 {"origin size",
                  cache->origin_size_sectors == 0 ? "unknown" : FormatBytes(cache->origin_size_sectors * kSectorBytes)},
                 {"dirty tracking", Word(cache->dirty_tracking)}});
  if (cache->incarnation == 0) {  // It could not be read yet.
    PrintFields(session.out, fields);
    return absl::OkStatus();
  }
  fields.insert(fields.end(),
                {{"mapped, dirty", absl::StrCat(cache->mapped_blocks, ", ", cache->dirty_blocks,
                                                cache->must_assume_all_dirty ? " (assumed: unclean)" : "")},
                 {"free, reserved", absl::StrCat(cache->free_blocks, ", ", cache->reserved_blocks)},
                 {"discarded", absl::StrCat(cache->discarded_blocks, " discard blocks")}});
  AppendSuperblock(cache->superblock, fields);
  fields.insert(fields.end(),
                {{"held metadata blocks", absl::StrCat(cache->held_metadata_blocks)},
                 {"snapshots", absl::StrCat(cache->snapshots)},
                 {"incarnation", FormatHex(cache->incarnation)},
                 {"revision", absl::StrCat(cache->revision)},
                 {"transaction", absl::StrCat(cache->transaction, ", durable through ", cache->durable_transaction)},
                 {"uncommitted changes", cache->uncommitted_changes ? "yes" : "no"}});
  PrintFields(session.out, fields);
  return absl::OkStatus();
}

struct ResizeOptions {
  std::string name;
  client::ResizeRequest request;
  MutationFlags flags;
};

absl::Status Resize(Session& session, const ResizeOptions& options) {
  if (!options.request.cache_blocks && !options.request.origin_size_sectors) {
    return UsageError("cache resize needs --cache-blocks, --origin-size or both");
  }
  const absl::StatusOr<client::ResizeResult> result =
      session.client().ResizeCache(options.name, options.request, options.flags.ForBatch(0));
  if (!result.ok()) return result.status();
  const client::Superblock& superblock = result->cache.superblock;
  Json extra = {{"cacheBlocks", superblock.cache_blocks},
                {"discardBlockSizeSectors", superblock.discard_block_size_sectors},
                {"discardBlocks", superblock.discard_blocks}};
  if (result->cache.origin_size_sectors != 0) extra["originSizeSectors"] = result->cache.origin_size_sectors;
  PrintMutation(session,
                absl::StrCat(options.name, " has ", Count(superblock.cache_blocks, "cache block"), " and ",
                             Count(superblock.discard_blocks, "discard block")),
                result->result, extra);
  return absl::OkStatus();
}

void AddCreate(CLI::App& group, Session& session) {
  auto request = std::make_shared<client::CreateRequest>();
  CLI::App* command =
      AddCommand(group, session, "create", "Format a metadata device and open it",
                 "dmcachectl cache create fast0 --metadata /dev/vg/meta --fast /dev/vg/fast --origin /dev/vg/data "
                 "--block-size 64KiB");
  AddName(command, request->name);
  command->add_option("--metadata", request->metadata_path, "Metadata device or file, absolute; it must exist")
      ->required()
      ->type_name("PATH");
  AddSectors32(command, "--block-size", request->data_block_size_sectors, "Size of a cache block, a multiple of 32KiB")
      ->required();
  AddParsed(command, "--cache-blocks", request->cache_blocks, ParseNumber32,
            "Number of cache blocks (default: what fits on the fast device)", "N");
  AddSectors(command, "--origin-size", request->origin_size_sectors, "Size of the origin (default: of its device)");
  command->add_option("--fast", request->fast_path, "Fast device or file")->type_name("PATH");
  command->add_option("--origin", request->origin_path, "Origin device or file")->type_name("PATH");
  AddParsed(command, "--metadata-version", request->metadata_version, ParseNumber32, "1 or 2 (default: 2)", "1|2");
  command->add_option("--policy", request->policy_name, "Name of the cache policy")->type_name("NAME");
  command->add_option("--identity", request->identity, "At most 15 of [A-Za-z0-9._-]")->type_name("ID");
  AddDirtyTracking(command, request->dirty_tracking);
  command->add_flag("--force", request->force, "Format although the device is not empty");
  command->add_flag("--validate-only", request->validate_only, "Check everything, change nothing");
  OnRun(command, session, request, Create);
}

void AddOpen(CLI::App& group, Session& session) {
  auto request = std::make_shared<client::OpenRequest>();
  CLI::App* command = AddCommand(group, session, "open", "Open existing metadata, or recover a failed cache",
                                 "dmcachectl cache open fast0 --metadata /dev/vg/meta --identity fast0\n"
                                 "  dmcachectl cache open fast0 --recover");
  AddName(command, request->name);
  command->add_option("--metadata", request->metadata_path, "Metadata device or file, absolute")->type_name("PATH");
  command->add_flag("--read-only", request->read_only, "Change nothing on the device");
  command->add_flag("--assume-unclean", request->assume_unclean, "Do not trust the clean flag");
  AddDirtyTracking(command, request->dirty_tracking);
  command->add_option("--fast", request->fast_path, "Fast device or file")->type_name("PATH");
  command->add_option("--origin", request->origin_path, "Origin device or file")->type_name("PATH");
  AddSectors(command, "--origin-size", request->origin_size_sectors, "Size of the origin, if it has no device here");
  command->add_option("--identity", request->expected_identity, "Refuse metadata of another identity")->type_name("ID");
  AddSectors32(command, "--expect-block-size", request->expected_block_size_sectors,
               "Refuse metadata of another block size");
  command->add_flag("--old-callers-gone", request->old_callers_gone,
                    "Nobody from before this open is still copying: reservations are given at once");
  command->add_flag("--recover", request->recover, "The cache has failed: drop its memory and open it again");
  OnRun(command, session, request, Open);
}

void AddClose(CLI::App& group, Session& session) {
  auto request = std::make_shared<client::CloseRequest>();
  CLI::App* command =
      AddCommand(group, session, "close", "Commit clean and close", "dmcachectl cache close fast0 --require-no-dirty");
  AddName(command, request->name);
  command->add_flag("--require-no-dirty", request->require_no_dirty, "Refuse while dirty mappings exist");
  command->add_flag("--discard-uncommitted", request->discard_uncommitted,
                    "Close a failed cache; what was not durable is lost");
  OnRun(command, session, request, Close);
}

void AddDelete(CLI::App& group, Session& session) {
  auto request = std::make_shared<client::DeleteRequest>();
  CLI::App* command =
      AddCommand(group, session, "delete", "Close a cache and forget it", "dmcachectl cache delete fast0 --wipe");
  AddName(command, request->name);
  command->add_flag("--wipe", request->wipe, "Zero the superblock");
  command->add_flag("--discard-dirty", request->discard_dirty, "Although dirty mappings exist: their data is lost");
  OnRun(command, session, request, Delete);
}

void AddResize(CLI::App& group, Session& session) {
  auto options = std::make_shared<ResizeOptions>();
  CLI::App* command =
      AddCommand(group, session, "resize", "Change the number of cache blocks, the origin size, or both",
                 "dmcachectl cache resize fast0 --cache-blocks 200000 --origin-size 2TiB");
  AddName(command, options->name);
  AddParsed(command, "--cache-blocks", options->request.cache_blocks, ParseNumber32, "New number of cache blocks", "N");
  AddSectors(command, "--origin-size", options->request.origin_size_sectors, "New size of the origin");
  AddMutationFlags(command, options->flags);
  OnRun(command, session, options, Resize);
}

}  // namespace

void AddCacheCommands(CLI::App& app, Session& session) {
  CLI::App* group = AddGroup(app, "cache", "Create, open, close and show caches", "dmcachectl cache list");
  AddCreate(*group, session);
  AddOpen(*group, session);
  AddClose(*group, session);
  AddDelete(*group, session);
  CLI::App* list = AddCommand(*group, session, "list", "All caches of the daemon", "dmcachectl cache list");
  OnRun(list, session, std::make_shared<None>(), List);
  auto show_options = std::make_shared<NameOptions>();
  CLI::App* show = AddCommand(*group, session, "show", "State, geometry and counts of a cache",
                              "dmcachectl cache show fast0 --json");
  AddName(show, show_options->name);
  OnRun(show, session, show_options, Show);
  AddResize(*group, session);
}

}  // namespace dmcached::cli
