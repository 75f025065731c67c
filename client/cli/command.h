// What the commands of dmcachectl share: the session, options with strict parsers, and how a command is declared.
//
// Parsing only records what was asked; Session::action then does it.  Parse errors are CLI11's exceptions.
#ifndef DMCACHED_CLIENT_CLI_COMMAND_H_
#define DMCACHED_CLIENT_CLI_COMMAND_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/progress.h"
#include "client/cli/size.h"
#include "dmcached/client.h"

namespace dmcached::cli {

inline constexpr char kDefaultAddress[] = "unix:/run/dmcached/dmcached.sock";

// One run of dmcachectl.
class Session {
 public:
  Session(std::istream& in_stream, std::ostream& out_stream, std::ostream& err_stream)
      : in(in_stream), out(out_stream), err(err_stream) {}

  // Made at the first call, when the options are known.
  client::Client& client();
  // How long work shows its progress: never beside JSON, which scripts read from both streams.
  Progress::Style progress_style() const;

  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  std::string address = kDefaultAddress;
  client::TlsOptions tls;
  bool json = false;
  bool err_is_terminal = false;
  std::optional<uint32_t> timeout_ms;
  std::function<absl::Status(Session&)> action;
  int exit_code = 0;  // Of an action that succeeded.

 private:
  std::unique_ptr<client::Client> client_;
};

// A command with --address, --json and --timeout, and an example under its help.
CLI::App* AddCommand(CLI::App& parent, Session& session, const std::string& name, const std::string& description,
                     const std::string& example);
// What is wrong with an address; empty: nothing.
std::string CheckAddress(const std::string& text);
// Options that every command has.
void AddCommonOptions(CLI::App& command, Session& session);
// A group that needs one of its commands.
CLI::App* AddGroup(CLI::App& app, const std::string& name, const std::string& description, const std::string& example);

// What happens when the command is chosen.  `options` is the command's own struct, shared with its CLI11 options.
template <typename Options>
void OnRun(CLI::App* command, Session& session, std::shared_ptr<Options> options,
           absl::Status (*run)(Session&, const Options&)) {
  command->callback(
      [&session, options, run] { session.action = [options, run](Session& s) { return run(s, *options); }; });
}

// An option whose text `parse` turns into `target`'s value; its error becomes a usage error.
template <typename Target, typename Parse>
CLI::Option* AddParsed(CLI::App* command, const std::string& name, Target& target, Parse parse,
                       const std::string& description, const std::string& type) {
  return command
      ->add_option_function<std::string>(
          name,
          [&target, parse, name](const std::string& text) {
            auto value = parse(text);
            if (!value.ok()) throw CLI::ValidationError(name, std::string(value.status().message()));
            target = *std::move(value);
          },
          description)
      ->type_name(type);
}

// Sizes in sectors; a target of 32 bits refuses what does not fit.
CLI::Option* AddSectors(CLI::App* command, const std::string& name, std::optional<uint64_t>& target,
                        const std::string& description);
CLI::Option* AddSectors32(CLI::App* command, const std::string& name, uint32_t& target, const std::string& description);
// exact or conservative.
void AddDirtyTracking(CLI::App* command, client::DirtyTracking& target);
// The first positional argument of nearly every command.
void AddName(CLI::App* command, std::string& name);

// --durable, --request-id, --incarnation, --expected-revision.
struct MutationFlags {
  bool durable = false;
  std::string request_id;
  std::optional<uint64_t> incarnation;
  std::optional<uint64_t> expected_revision;

  // Options of the batch number `index` (from 0) of the command: later batches get ids of their own, derived from the
  // first, so that repeating the whole command repeats every batch; the expected revision moves on with each.
  client::MutationOptions ForBatch(uint64_t index) const;
};
void AddMutationFlags(CLI::App* command, MutationFlags& flags);

// An error of how the command was used: exit code 2.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_COMMAND_H_
