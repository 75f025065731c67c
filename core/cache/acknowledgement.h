// When a mutation is answered: when it is applied, or when it is durable.
//
// | mutation                                                     | EXACT        | CONSERVATIVE |
// | remove, clear a discard, resize, begin hints, insert dirty   | when durable | when durable |
// | mark dirty                                                   | when durable | when applied |
// | insert clean, clear dirty, set a discard, save hints, stats  | when applied | when applied |
// Source: core/README.md (acknowledgement).
#ifndef DMCACHED_CORE_CACHE_ACKNOWLEDGEMENT_H_
#define DMCACHED_CORE_CACHE_ACKNOWLEDGEMENT_H_

#include "absl/status/status.h"
#include "core/cache/cache_info.h"
#include "core/cache/mutation.h"

namespace dmcached {

// Whether `mutation` is of a "when durable" row.
bool IsAnsweredWhenDurable(const Mutation& mutation, DirtyTracking tracking);

// Whether a refusal states a fact about the metadata, on which its caller may act.
bool StatesFact(const absl::Status& refusal);

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_ACKNOWLEDGEMENT_H_
