#include "server/command_line.h"

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "server/version.h"

namespace dmcached {
namespace {

struct Flags {
  std::vector<std::string> listen;
  bool insecure_loopback = false;
  std::optional<std::string> metrics;
  std::optional<std::string> config;
  std::optional<uint64_t> commit_interval_ms;
  std::optional<uint64_t> max_reservation_ttl_ms;
  std::optional<uint64_t> recover_interval_ms;
  std::optional<uint64_t> block_cache_bytes;
};

constexpr char kFooter[] =
    "Example:\n"
    "  dmcached --listen unix:/tmp/dmcached.sock --metrics 127.0.0.1:9464 --config /etc/dmcached/config.json\n"
    "Configuration file (every key is optional, flags win):\n"
    "  {\"listen\": [\"unix:/run/dmcached/dmcached.sock\"], \"commit_interval_ms\": 1000,\n"
    "   \"tls\": {\"certificate\": \"/etc/dmcached/tls/tls.crt\", \"key\": \"/etc/dmcached/tls/tls.key\",\n"
    "           \"client_ca\": \"/etc/dmcached/tls/ca.crt\"},\n"
    "   \"roles\": [{\"identity\": \"spiffe://fleet/agent\", \"role\": \"operator\", \"caches\": [\"vol*\"]}],\n"
    "   \"caches\": [{\"name\": \"vol1\", \"metadata\": \"/dev/vg/vol1-meta\", \"dirty_tracking\": \"exact\"}]}";

void Declare(CLI::App& app, Flags& flags) {
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("dmcached ") + Version() + " (" + Revision() + ")");
  app.add_option("--listen", flags.listen,
                 "unix:PATH or HOST:PORT; may be repeated (default unix:/run/dmcached/dmcached.sock)")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  app.add_flag("--insecure-loopback", flags.insecure_loopback,
               "allow HOST:PORT without TLS, on loopback addresses only; with tls in the file it has no effect");
  app.add_option("--metrics", flags.metrics, "serve /metrics, /healthz and /readyz over HTTP here (default: nowhere)")
      ->type_name("HOST:PORT");
  app.add_option("--config", flags.config, "JSON configuration file")->type_name("FILE");
  app.add_option("--commit-interval-ms", flags.commit_interval_ms,
                 "what is applied becomes durable after about this time (default 1000)")
      ->type_name("MS");
  app.add_option("--max-reservation-ttl-ms", flags.max_reservation_ttl_ms,
                 "longest and default ttl of a reservation (default 60000)")
      ->type_name("MS");
  app.add_option("--recover-interval-ms", flags.recover_interval_ms,
                 "first wait before a failed cache is opened again by itself, 0: never (default 10000)")
      ->type_name("MS");
  app.add_option("--block-cache-bytes", flags.block_cache_bytes,
                 "memory for metadata blocks, per cache (default 67108864)")
      ->type_name("BYTES");
}

void Override(const Flags& flags, Config& config) {
  if (!flags.listen.empty()) config.listen = flags.listen;
  if (flags.insecure_loopback) config.insecure_loopback = true;
  config.metrics = flags.metrics.value_or(config.metrics);
  config.commit_interval_ms = flags.commit_interval_ms.value_or(config.commit_interval_ms);
  config.max_reservation_ttl_ms = flags.max_reservation_ttl_ms.value_or(config.max_reservation_ttl_ms);
  config.recover_interval_ms = flags.recover_interval_ms.value_or(config.recover_interval_ms);
  config.block_cache_bytes = flags.block_cache_bytes.value_or(config.block_cache_bytes);
}

absl::Status Build(const Flags& flags, Config& config) {
  if (flags.config.has_value()) {
    if (const absl::Status read = ReadConfigFile(*flags.config, config); !read.ok()) return read;
  }
  Override(flags, config);
  return CheckConfig(config);
}

}  // namespace

CommandLineResult ParseCommandLine(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CommandLineResult result;
  Flags flags;
  CLI::App app("Serves dm-cache metadata over gRPC.", "dmcached");
  Declare(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    out << app.help();
    result.exit_code = kExitOk;
    return result;
  } catch (const CLI::CallForVersion&) {
    out << app.version() << '\n';
    result.exit_code = kExitOk;
    return result;
  } catch (const CLI::ParseError& error) {
    err << "dmcached: " << error.what() << " (see dmcached --help)\n";
    result.exit_code = kExitUsage;
    return result;
  }
  if (const absl::Status built = Build(flags, result.config); !built.ok()) {
    err << "dmcached: " << built.message() << '\n';
    result.exit_code = kExitUsage;
  }
  return result;
}

}  // namespace dmcached
