// Between the plain values of dmcached/types.h and the messages of dmcached.v1.
#ifndef DMCACHED_CLIENT_SRC_CONVERT_H_
#define DMCACHED_CLIENT_SRC_CONVERT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dmcached/types.h"
#include "dmcached/v1/cache_service.pb.h"
#include "dmcached/v1/common.pb.h"
#include "dmcached/v1/metadata_service.pb.h"

namespace dmcached::client {

Superblock FromProto(const v1::Superblock& message);
Cache FromProto(const v1::Cache& message);
ServerInfo FromProto(const v1::GetServerInfoResponse& message);
ProbeResult FromProto(const v1::ProbeCacheResponse& message);
PlanResult FromProto(const v1::PlanCacheResponse& message);
MutationResult FromProto(const v1::MutationResult& message);
Reservation FromProto(const v1::ReserveCblocksResponse& message);
Stats FromProto(const v1::Stats& message);
// Errors: INTERNAL when columns are of unequal length.
absl::StatusOr<LookupResult> FromProto(const v1::LookupMappingsResponse& message);
absl::Status FromProto(const v1::ListMappingsResponse& message, std::vector<Mapping>& items);
absl::Status FromProto(const v1::ListDiscardsResponse& message, std::vector<BlockRange>& items);
absl::Status FromProto(const v1::ListHintsResponse& message, std::vector<Hint>& items);

v1::PlanCacheRequest ToProto(const PlanRequest& request);
v1::CreateCacheRequest ToProto(const CreateRequest& request);
v1::OpenCacheRequest ToProto(const OpenRequest& request);
v1::ListMappingsRequest ToProto(const std::string& cache, const ListMappingsRequest& request);
v1::ListHintsRequest ToProto(const std::string& cache, const ListHintsRequest& request);

// One batch as the message of its rpc; cache and options are left to the caller.
v1::InsertMappingsRequest ToProto(const InsertBatch& batch);
v1::RemoveMappingsRequest ToProto(const RemoveBatch& batch);
v1::MarkDirtyRequest ToProto(const MarkDirtyBatch& batch);
v1::ClearDirtyRequest ToProto(const ClearDirtyBatch& batch);
v1::SetDiscardsRequest ToProto(const SetDiscardsBatch& batch);
v1::ClearDiscardsRequest ToProto(const ClearDiscardsBatch& batch);
v1::BeginHintsRequest ToProto(const BeginHintsBatch& batch);
v1::SaveHintsRequest ToProto(const SaveHintsBatch& batch);
v1::SetStatsRequest ToProto(const SetStatsBatch& batch);

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_CONVERT_H_
