// Requests and answers of MetadataService as the engine's types.
//
// Columns become spans into the message, which outlives the request: nothing is copied.  Every error here is about the
// form of a request, before anything of it is applied.
#ifndef DMCACHED_SERVER_CONVERT_H_
#define DMCACHED_SERVER_CONVERT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/cache/cache_snapshot.h"
#include "core/cache/engine.h"
#include "core/cache/mutation.h"
#include "dmcached/v1/metadata_service.pb.h"

namespace dmcached {

// A mutation with what it needs to be applied.  Movable: the spans stay valid.
struct MutationCall {
  Mutation mutation;
  Conditions conditions;
  std::vector<DblockRange> ranges;  // Behind the spans of SetDiscards and ClearDiscards.
};

// [a-z0-9][a-z0-9-]{0,62}.  Errors: kInvalidArgument (INVALID_REQUEST).
absl::Status CheckCacheName(const std::string& name);

// Errors: kInvalidArgument (INVALID_REQUEST): columns of unequal length, a range that ends before it begins, no
// request_id or incarnation where they are mandatory, a request_id that is too long; kResourceExhausted
// (TOO_MANY_ITEMS).
absl::StatusOr<MutationCall> ToMutation(const v1::InsertMappingsRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::RemoveMappingsRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::MarkDirtyRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::ClearDirtyRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::SetDiscardsRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::ClearDiscardsRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::BeginHintsRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::SaveHintsRequest& request);
absl::StatusOr<MutationCall> ToMutation(const v1::SetStatsRequest& request);
// The batch of a Mutate message.  Errors: as above, and a batch without a mutation or for another cache than `cache`.
absl::StatusOr<MutationCall> ToMutation(const std::string& cache, const v1::MutateRequest& request);

// `mandatory`: whether request_id and incarnation must be there.  Errors: kInvalidArgument (INVALID_REQUEST).
absl::StatusOr<Conditions> ToConditions(const v1::MutationOptions& options, bool mandatory);

absl::StatusOr<LookupRequest> ToLookup(const v1::LookupMappingsRequest& request);
absl::StatusOr<MappingFilter> ToFilter(const v1::ListMappingsRequest& request);
std::optional<HintPolicy> ToHintPolicy(const std::string& name, const v1::PolicyVersion& version);

void FillResult(const MutationResult& result, v1::MutationResult* message);
void FillLookup(const LookupResult& result, v1::LookupMappingsResponse* message);
void FillPage(const MappingPage& page, v1::ListMappingsResponse* message);
void FillPage(const DiscardPage& page, v1::ListDiscardsResponse* message);
void FillPage(const HintPage& page, v1::ListHintsResponse* message);
void FillStats(const Stats& stats, v1::Stats* message);

// Where a list goes on: a letter for the list's kind and a block number.
std::string MakeCursor(char kind, uint64_t next);
// An empty cursor is 0.  `limit`: the largest number.  Errors: kInvalidArgument (INVALID_REQUEST).
absl::StatusOr<uint64_t> ParseCursor(char kind, const std::string& cursor, uint64_t limit);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CONVERT_H_
