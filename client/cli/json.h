// The JSON contract of dmcachectl: field names are the proto's in lowerCamelCase, integers are numbers (incarnation and
// reservation ids are strings of 16 hex digits), enums are lower-case words, nothing is left out because it is 0: what
// is absent is unknown.
#ifndef DMCACHED_CLIENT_CLI_JSON_H_
#define DMCACHED_CLIENT_CLI_JSON_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/status.h"
#include "dmcached/types.h"

namespace dmcached::cli {

using Json = nlohmann::ordered_json;

Json ToJson(const client::ServerInfo& info);
Json ToJson(const client::ProbeResult& probe);  // The superblock's fields are at the top level.
Json ToJson(const client::PlanResult& plan);
Json ToJson(const client::Cache& cache);  // Likewise.
Json ToJson(const client::MutationResult& result);
Json ToJson(const client::Reservation& reservation);
Json ToJson(const client::Mapping& mapping);
Json ToJson(const client::BlockRange& range);
Json ToJson(const client::Hint& hint);
Json ToJson(const client::Stats& stats);
// {"code", "reason", "message"}.
Json ToJson(const absl::Status& status);

// One line, without the line's end.  Bytes that are no UTF-8 are replaced.
std::string Dump(const Json& json);

// The words of METRICS.md.
std::string Word(client::CacheState state);
std::string Word(client::DirtyTracking tracking);
std::string Word(client::Health health);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_JSON_H_
