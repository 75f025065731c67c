// A mutation between its arrival and the moment it is applied or refused.
#ifndef DMCACHED_CORE_CACHE_PENDING_MUTATION_H_
#define DMCACHED_CORE_CACHE_PENDING_MUTATION_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/cache/engine.h"
#include "core/cache/fingerprint.h"
#include "core/cache/mutation.h"

namespace dmcached {

struct PendingMutation {
  Mutation mutation;
  Conditions conditions;
  Callback<absl::StatusOr<MutationResult>> done;
  Fingerprint fingerprint;  // If there is a request id.

  bool parked = false;  // Its id, if any, is in the book of ids.

  // How far the search for metadata space has come.
  bool pruned = false;     // Snapshots without readers were forgotten.
  bool waited = false;     // For the commit that was in flight.
  bool committed = false;  // What was applied before.
};

// A request that waits before it is applied, while the queue goes on.
struct ParkedMutation {
  std::unique_ptr<PendingMutation> request;
  uint64_t until = 0;  // This transaction is durable, or ...
  std::string behind;  // ... if not empty: the parked request with this id is settled.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_PENDING_MUTATION_H_
