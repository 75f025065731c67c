// info, plan, probe, health, commit.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/commands.h"
#include "client/cli/report.h"
#include "client/cli/superblock_fields.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

struct None {};

absl::Status Info(Session& session, const None&) {
  const absl::StatusOr<client::ServerInfo> info = session.client().GetServerInfo();
  if (!info.ok()) return info.status();
  if (session.json) {
    PrintJson(session, ToJson(*info));
    return absl::OkStatus();
  }
  PrintFields(session.out, {{"version", info->version},
                            {"revision", info->revision},
                            {"metadata versions", absl::StrJoin(info->metadata_versions, ", ")},
                            {"items per message", absl::StrCat(info->max_items_per_message)},
                            {"message size", FormatBytes(info->max_message_bytes)},
                            {"reservation ttl", absl::StrCat(info->max_reservation_ttl_ms, "ms")},
                            {"commit interval", absl::StrCat(info->commit_interval_ms, "ms")},
                            {"block cache", FormatBytes(info->block_cache_bytes)},
                            {"snapshots per cache", absl::StrCat(info->max_snapshots)}});
  return absl::OkStatus();
}

struct PlanOptions {
  std::optional<uint64_t> origin_size_sectors;
  std::optional<uint64_t> fast_size_sectors;
  uint32_t data_block_size_sectors = 0;
};

absl::Status Plan(Session& session, const PlanOptions& options) {
  const absl::StatusOr<client::PlanResult> plan =
      session.client().PlanCache({.origin_size_sectors = options.origin_size_sectors.value_or(0),
                                  .fast_size_sectors = options.fast_size_sectors.value_or(0),
                                  .data_block_size_sectors = options.data_block_size_sectors});
  if (!plan.ok()) return plan.status();
  if (session.json) {
    PrintJson(session, ToJson(*plan));
    return absl::OkStatus();
  }
  PrintFields(session.out, {{"block size", FormatBytes(plan->data_block_size_sectors * kSectorBytes)},
                            {"cache blocks", absl::StrCat(plan->cache_blocks)},
                            {"origin blocks", absl::StrCat(plan->origin_blocks)},
                            {"discard block size", FormatBytes(plan->discard_block_size_sectors * kSectorBytes)},
                            {"discard blocks", absl::StrCat(plan->discard_blocks)},
                            {"metadata needed", FormatBytes(plan->metadata_bytes)},
                            {"metadata recommended", FormatBytes(plan->recommended_metadata_bytes)},
                            {"memory", FormatBytes(plan->memory_bytes)}});
  for (const std::string& warning : plan->warnings) session.out << "warning: " << warning << '\n';
  return absl::OkStatus();
}

struct ProbeOptions {
  std::string path;
};

absl::Status Probe(Session& session, const ProbeOptions& options) {
  const absl::StatusOr<client::ProbeResult> probe = session.client().ProbeCache(options.path);
  if (!probe.ok()) return probe.status();
  if (session.json) {
    PrintJson(session, ToJson(*probe));
    return absl::OkStatus();
  }
  Fields fields = {{"formatted", probe->formatted ? "yes" : "no"}, {"device", FormatBytes(probe->device_bytes)}};
  if (probe->formatted) AppendSuperblock(probe->superblock, fields);
  PrintFields(session.out, fields);
  return absl::OkStatus();
}

struct HealthOptions {
  std::string service;
};

absl::Status Health(Session& session, const HealthOptions& options) {
  const absl::StatusOr<client::Health> health = session.client().CheckHealth(options.service);
  if (!health.ok()) return health.status();
  if (session.json) {
    Json json;
    json["service"] = options.service;
    json["status"] = Word(*health);
    PrintJson(session, json);
  } else {
    session.out << Word(*health) << '\n';
  }
  session.exit_code = *health == client::Health::kServing ? kExitOk : kExitFailed;
  return absl::OkStatus();
}

struct CommitOptions {
  std::string name;
  bool clean_shutdown = false;
  MutationFlags flags;  // Taken, because scripts give them to every command; nothing depends on them.
};

absl::Status Commit(Session& session, const CommitOptions& options) {
  const absl::StatusOr<client::MutationResult> result = session.client().Commit(options.name, options.clean_shutdown);
  if (!result.ok()) return result.status();
  PrintMutation(session, absl::StrCat("Committed ", options.name), *result);
  return absl::OkStatus();
}

void AddPlan(CLI::App& app, Session& session) {
  auto options = std::make_shared<PlanOptions>();
  CLI::App* command = AddCommand(app, session, "plan", "Size a cache: blocks, metadata and memory that it needs",
                                 "dmcachectl plan --origin-size 10TiB --fast-size 500GiB --block-size 256KiB");
  AddSectors(command, "--origin-size", options->origin_size_sectors, "Size of the origin device")->required();
  AddSectors(command, "--fast-size", options->fast_size_sectors, "Size of the fast device")->required();
  AddSectors32(command, "--block-size", options->data_block_size_sectors, "Size of a cache block (default: chosen)");
  OnRun(command, session, options, Plan);
}

}  // namespace

void AddServerCommands(CLI::App& app, Session& session) {
  CLI::App* info = AddCommand(app, session, "info", "Version and limits of the daemon", "dmcachectl info --json");
  OnRun(info, session, std::make_shared<None>(), Info);
  AddPlan(app, session);

  auto probe_options = std::make_shared<ProbeOptions>();
  CLI::App* probe = AddCommand(app, session, "probe", "Read the superblock of a device that need not be open",
                               "dmcachectl probe /dev/vg/cache_meta");
  probe->add_option("PATH", probe_options->path, "Metadata device or file of the daemon's machine, absolute")
      ->required()
      ->type_name("");
  OnRun(probe, session, probe_options, Probe);

  auto health_options = std::make_shared<HealthOptions>();
  CLI::App* health = AddCommand(app, session, "health", "Is the service serving: exit code 0 yes, 1 no, 3 no answer",
                                "dmcachectl health --service dmcached.v1.CacheService");
  health
      ->add_option("--service", health_options->service,
                   "Nothing: the process; dmcached.v1.CacheService: ready; cache/NAME: one cache")
      ->type_name("NAME");
  OnRun(health, session, health_options, Health);

  auto commit_options = std::make_shared<CommitOptions>();
  CLI::App* commit = AddCommand(app, session, "commit", "Make everything accepted so far durable",
                                "dmcachectl commit fast0 --clean-shutdown");
  AddName(commit, commit_options->name);
  commit->add_flag("--clean-shutdown", commit_options->clean_shutdown,
                   "Set the clean flag of a conservative cache, if nothing is applied after this");
  commit->add_flag("--durable", commit_options->flags.durable,
                   "What a commit is in any case; for scripts that always say it");
  commit
      ->add_option("--request-id", commit_options->flags.request_id,
                   "Not needed: a commit may be repeated; for scripts that always give one")
      ->type_name("ID");
  OnRun(commit, session, commit_options, Commit);
}

}  // namespace dmcached::cli
