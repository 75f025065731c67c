// top.
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/commands.h"
#include "client/cli/metrics_page.h"
#include "client/cli/report.h"
#include "client/cli/table.h"

namespace dmcached::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kClearScreen[] = "\x1b[H\x1b[2J";

struct TopOptions {
  std::optional<MetricsUrl> metrics;
  double interval_s = 2;
  bool once = false;
};

// What was found at one time.
struct View {
  Clock::time_point at;
  std::vector<client::Cache> caches;
  MetricsPage metrics;
};

absl::StatusOr<View> Look(Session& session, const TopOptions& options) {
  View view;
  view.at = Clock::now();
  std::string token;
  do {
    absl::StatusOr<client::CachePage> page = session.client().ListCaches(/*page_size=*/0, token);
    if (!page.ok()) return page.status();
    for (client::Cache& cache : page->caches) view.caches.push_back(std::move(cache));
    token = page->next_page_token;
  } while (!token.empty());
  if (options.metrics.has_value()) {
    absl::StatusOr<MetricsPage> metrics = MetricsPage::Fetch(*options.metrics);
    if (!metrics.ok()) return metrics.status();
    view.metrics = *std::move(metrics);
  }
  return view;
}

// How fast a counter grew; nothing if it is not known at both times, or began anew.
std::optional<double> PerSecond(const View& before, const View& now, const std::string& name,
                                const std::string& cache = {}) {
  const std::optional<double> first = before.metrics.Sum(name, cache);
  const std::optional<double> last = now.metrics.Sum(name, cache);
  const std::chrono::duration<double> passed = now.at - before.at;
  if (!first.has_value() || !last.has_value() || *last < *first || passed.count() <= 0) return std::nullopt;
  return (*last - *first) / passed.count();
}

std::optional<double> Share(uint64_t part, uint64_t all) {
  if (all == 0) return std::nullopt;
  return static_cast<double>(part) / static_cast<double>(all);
}

std::optional<double> ReadHits(const client::Superblock& superblock) {
  return Share(superblock.read_hits, superblock.read_hits + superblock.read_misses);
}
std::optional<double> WriteHits(const client::Superblock& superblock) {
  return Share(superblock.write_hits, superblock.write_hits + superblock.write_misses);
}

std::string Percent(std::optional<double> share) {
  return share.has_value() ? absl::StrFormat("%.1f%%", *share * 100) : "-";
}
std::string Rate(std::optional<double> rate) { return rate.has_value() ? absl::StrFormat("%.1f", *rate) : "-"; }

void AddKnown(Json& json, const char* key, std::optional<double> value) {
  if (value.has_value()) json[key] = *value;
}

void PrintAsJson(Session& session, const View& before, const View& now) {
  Json caches = Json::array();
  for (const client::Cache& cache : now.caches) {
    Json json = {{"name", cache.name},
                 {"state", Word(cache.state)},
                 {"cacheBlocks", cache.superblock.cache_blocks},
                 {"mappedBlocks", cache.mapped_blocks},
                 {"dirtyBlocks", cache.dirty_blocks}};
    AddKnown(json, "readHitRatio", ReadHits(cache.superblock));
    AddKnown(json, "writeHitRatio", WriteHits(cache.superblock));
    AddKnown(json, "commitsPerSecond", PerSecond(before, now, "dmcached_commits_total", cache.name));
    caches.push_back(std::move(json));
  }
  Json json = {{"caches", std::move(caches)}};
  AddKnown(json, "rpcsPerSecond", PerSecond(before, now, "grpc_server_handled_total"));
  PrintJson(session, json);
}

void PrintForPeople(Session& session, const View& before, const View& now) {
  session.out << session.address << ": " << Count(now.caches.size(), "cache")
              << ", rpc/s: " << Rate(PerSecond(before, now, "grpc_server_handled_total")) << '\n';
  std::vector<std::vector<std::string>> rows;
  for (const client::Cache& cache : now.caches) {
    const uint64_t blocks = cache.superblock.cache_blocks;
    rows.push_back({cache.name, Word(cache.state), absl::StrCat(blocks), Percent(Share(cache.mapped_blocks, blocks)),
                    absl::StrCat(cache.dirty_blocks), Percent(Share(cache.dirty_blocks, blocks)),
                    Percent(ReadHits(cache.superblock)), Percent(WriteHits(cache.superblock)),
                    Rate(PerSecond(before, now, "dmcached_commits_total", cache.name))});
  }
  PrintTable(session.out,
             {{"NAME"},
              {"STATE"},
              {"BLOCKS", true},
              {"MAPPED", true},
              {"DIRTY", true},
              {"DIRTY%", true},
              {"READ HITS", true},
              {"WRITE HITS", true},
              {"COMMITS/S", true}},
             rows);
}

absl::Status Top(Session& session, const TopOptions& options) {
  const bool clear = &session.out == &std::cout && isatty(STDOUT_FILENO) != 0 && !session.json && !options.once;
  absl::StatusOr<View> before = Look(session, options);
  if (!before.ok()) return before.status();
  for (bool first = true;; first = false) {
    // Rates need two looks; without them the first view need not wait.
    if (!first || options.metrics.has_value()) {
      std::this_thread::sleep_for(std::chrono::duration<double>(options.interval_s));
    }
    absl::StatusOr<View> now = Look(session, options);
    if (!now.ok()) return now.status();
    if (clear) session.out << kClearScreen;
    session.json ? PrintAsJson(session, *before, *now) : PrintForPeople(session, *before, *now);
    session.out.flush();
    if (options.once || !session.out) return absl::OkStatus();
    before = std::move(now);
  }
}

}  // namespace

void AddTopCommand(CLI::App& app, Session& session) {
  auto options = std::make_shared<TopOptions>();
  CLI::App* command = AddCommand(app, session, "top", "Watch the caches: state, blocks, hit ratios, rates",
                                 "dmcachectl top --metrics 127.0.0.1:9464 --interval 5");
  AddParsed(command, "--metrics", options->metrics, ParseMetricsUrl,
            "The daemon's metrics, which rpc/s and commits/s come from (default: not shown)", "URL");
  command->add_option("--interval", options->interval_s, "Seconds between two looks (default 2)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
  command->add_flag("--once", options->once, "Print one view and end");
  OnRun(command, session, options, Top);
}

}  // namespace dmcached::cli
