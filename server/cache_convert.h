// Requests and answers of CacheService as the engine's types.
#ifndef DMCACHED_SERVER_CACHE_CONVERT_H_
#define DMCACHED_SERVER_CACHE_CONVERT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/cache/engine.h"
#include "core/cache/geometry.h"
#include "dmcached/v1/cache_service.pb.h"
#include "server/convert.h"

namespace dmcached {

// Not empty and absolute.  `field`: for the message.  Errors: kInvalidArgument (INVALID_REQUEST).
absl::Status CheckPath(const char* field, const std::string& path);

// Errors: kInvalidArgument (INVALID_REQUEST): name, paths, versions, enums.  What needs a device is judged by the
// engine.
absl::StatusOr<CreateOptions> ToCreateOptions(const v1::CreateCacheRequest& request);
absl::StatusOr<OpenOptions> ToOpenOptions(const v1::OpenCacheRequest& request);

// Errors: kInvalidArgument (INVALID_REQUEST): nothing to change, a request_id that is too long.
absl::StatusOr<MutationCall> ToMutation(const v1::ResizeCacheRequest& request);

void FillCache(const CacheInfo& info, v1::Cache* message);
void FillProbe(const ProbeResult& result, v1::ProbeCacheResponse* message);
void FillPlan(const Plan& plan, v1::PlanCacheResponse* message);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CACHE_CONVERT_H_
