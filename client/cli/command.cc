#include "client/cli/command.h"

#include <chrono>
#include <limits>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"

namespace dmcached::cli {
namespace {

constexpr char kUsagePayload[] = "dmcachectl/usage";
constexpr std::chrono::milliseconds kDefaultTimeout{30000};

}  // namespace

client::Client& Session::client() {
  if (client_ == nullptr) {
    client::ClientOptions options;
    options.address = address;
    options.tls = tls;
    options.timeout = timeout_ms ? std::chrono::milliseconds(*timeout_ms) : kDefaultTimeout;
    // A person waits: nothing is repeated for longer than one attempt may take.
    options.repeat_for = options.timeout;
    client_ = std::make_unique<client::Client>(options);
  }
  return *client_;
}

Progress::Style Session::progress_style() const {
  if (json) return Progress::Style::kNone;
  return err_is_terminal ? Progress::Style::kBar : Progress::Style::kLines;
}

std::string CheckAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  const bool good = colon != std::string::npos && colon > 0 && colon + 1 < text.size();
  return good ? std::string() : "\"" + text + "\" is not an address; write unix:PATH or HOST:PORT";
}

void AddCommonOptions(CLI::App& command, Session& session) {
  command
      .add_option("--address", session.address,
                  "Where the daemon listens: unix:PATH or HOST:PORT (default: $DMCACHED_ADDRESS, else " +
                      std::string(kDefaultAddress) + ")")
      ->type_name("ADDRESS")
      ->check(CheckAddress);
  const auto file = [&command](const char* name, std::string& target, const char* description) {
    command.add_option(name, target, description)->type_name("FILE");
  };
  file("--tls-ca", session.tls.ca,
       "For HOST:PORT: who signed the daemon's certificate, PEM (default: $DMCACHED_TLS_CA)");
  file("--tls-cert", session.tls.certificate, "Your certificate, PEM (default: $DMCACHED_TLS_CERT)");
  file("--tls-key", session.tls.key, "Its key, PEM (default: $DMCACHED_TLS_KEY)");
  command
      .add_option("--tls-server-name", session.tls.server_name,
                  "Name in the daemon's certificate (default: $DMCACHED_TLS_SERVER_NAME, else the host)")
      ->type_name("NAME");
  command.add_flag("--json", session.json, "Print JSON");
  AddParsed(&command, "--timeout", session.timeout_ms, ParseMilliseconds,
            "How long to wait for an answer (30s; opening and closing are waited for without an end)", "TIME");
}

CLI::App* AddCommand(CLI::App& parent, Session& session, const std::string& name, const std::string& description,
                     const std::string& example) {
  CLI::App* command = parent.add_subcommand(name, description);
  AddCommonOptions(*command, session);
  command->footer("Example:\n  " + example);
  return command;
}

CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& description, const std::string& example) {
  CLI::App* group = app.add_subcommand(name, description);
  group->require_subcommand(1);
  group->footer("Example:\n  " + example);
  return group;
}

CLI::Option* AddSectors(CLI::App* command, const std::string& name, std::optional<uint64_t>& target,
                        const std::string& description) {
  return AddParsed(command, name, target, ParseSectors, description, "SIZE");
}

CLI::Option* AddSectors32(CLI::App* command, const std::string& name, uint32_t& target,
                          const std::string& description) {
  const auto parse = [](const std::string& text) -> absl::StatusOr<uint32_t> {
    const absl::StatusOr<uint64_t> sectors = ParseSectors(text);
    if (!sectors.ok()) return sectors.status();
    if (*sectors > std::numeric_limits<uint32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too large"));
    }
    if (*sectors == 0) return absl::InvalidArgumentError("a block of 0 bytes is no block");
    return static_cast<uint32_t>(*sectors);
  };
  return AddParsed(command, name, target, parse, description, "SIZE");
}

void AddDirtyTracking(CLI::App* command, client::DirtyTracking& target) {
  const auto parse = [](const std::string& text) -> absl::StatusOr<client::DirtyTracking> {
    if (text == "exact") return client::DirtyTracking::kExact;
    if (text == "conservative") return client::DirtyTracking::kConservative;
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is neither exact nor conservative"));
  };
  AddParsed(command, "--dirty-tracking", target, parse,
            "exact: marks are durable when answered; conservative: after a crash everything is dirty",
            "exact|conservative");
}

void AddName(CLI::App* command, std::string& name) {
  command->add_option("NAME", name, "Name of the cache")->required()->type_name("");
}

client::MutationOptions MutationFlags::ForBatch(uint64_t index) const {
  client::MutationOptions options;
  options.durable = durable;
  options.incarnation = incarnation;
  if (expected_revision) options.expected_revision = *expected_revision + index;
  options.request_id = request_id;
  if (!request_id.empty() && index > 0) absl::StrAppend(&options.request_id, ".", index);
  return options;
}

void AddMutationFlags(CLI::App* command, MutationFlags& flags) {
  command->add_flag("--durable", flags.durable, "Answer only when the change is durable");
  command
      ->add_option("--request-id", flags.request_id,
                   "Repeating a command with the same id does it only once, "
                   "until the cache is opened anew (with --incarnation a later repeat is refused)")
      ->type_name("ID");
  AddParsed(command, "--incarnation", flags.incarnation, ParseHex,
            "Refuse if the cache was opened anew since (16 hex digits from `cache show`)", "HEX");
  AddParsed(command, "--expected-revision", flags.expected_revision, ParseNumber,
            "Refuse if the cache has another revision", "N");
}

absl::Status UsageError(absl::string_view message) {
  absl::Status status = client::MakeError(absl::StatusCode::kInvalidArgument, "INVALID_REQUEST", message);
  status.SetPayload(kUsagePayload, absl::Cord("1"));
  return status;
}

bool IsUsageError(const absl::Status& status) { return status.GetPayload(kUsagePayload).has_value(); }

}  // namespace dmcached::cli
