// A mutating command with any number of items: reads them, applies them in batches, says how far it came.
#ifndef DMCACHED_CLIENT_CLI_BATCHES_H_
#define DMCACHED_CLIENT_CLI_BATCHES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/command.h"
#include "client/cli/input.h"

namespace dmcached::cli {

using ApplyBatch =
    absl::FunctionRef<absl::StatusOr<client::MutationResult>(const ItemBatch&, const client::MutationOptions&)>;

// Applies `items` (or the lines of standard input) of the form with `apply`, then prints "<verb> 5 <noun>s" or JSON.
absl::Status ApplyBatches(Session& session, const std::string& cache, const std::vector<std::string>& items,
                          ItemForm form, const MutationFlags& flags, const std::string& verb, const std::string& noun,
                          ApplyBatch apply);

// What the service would answer about a cblock that is not mapped.
absl::Status NotMapped(uint32_t cblock, uint64_t item);

// The second column of a batch in which every item has one.
template <typename Value>
std::vector<Value> Values(const ItemBatch& batch) {
  std::vector<Value> values;
  values.reserve(batch.size());
  for (const std::optional<uint64_t>& second : batch.seconds) values.push_back(static_cast<Value>(second.value_or(0)));
  return values;
}

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_BATCHES_H_
