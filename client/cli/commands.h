// The command groups; each adds its commands to `app`.
#ifndef DMCACHED_CLIENT_CLI_COMMANDS_H_
#define DMCACHED_CLIENT_CLI_COMMANDS_H_

#include <CLI/CLI.hpp>

#include "client/cli/command.h"

namespace dmcached::cli {

void AddServerCommands(CLI::App& app, Session& session);           // info, plan, probe, health, commit
void AddCacheCommands(CLI::App& app, Session& session);            // cache ...
void AddCheckCommand(CLI::App& app, Session& session);             // check
void AddMappingCommands(CLI::App& app, Session& session);          // mapping ...
void AddMappingReadCommands(CLI::App& mapping, Session& session);  // mapping lookup, list
void AddDiscardCommands(CLI::App& app, Session& session);          // discard ...
void AddHintCommands(CLI::App& app, Session& session);             // hint ...
void AddStatsCommands(CLI::App& app, Session& session);            // stats ...
void AddTopCommand(CLI::App& app, Session& session);               // top

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_COMMANDS_H_
