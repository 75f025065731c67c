// The yardstick of calls: parses what comes, acknowledges it, and does nothing else.
#ifndef DMCACHED_TESTS_BENCH_IDLE_SERVICE_H_
#define DMCACHED_TESTS_BENCH_IDLE_SERVICE_H_

#include "dmcached/v1/metadata_service.grpc.pb.h"

namespace dmcached::bench {

class IdleService final : public v1::MetadataService::CallbackService {
 public:
  // Answers at once, with an empty message.
  grpc::ServerUnaryReactor* LookupMappings(grpc::CallbackServerContext* context,
                                           const v1::LookupMappingsRequest* request,
                                           v1::LookupMappingsResponse* response) override;
  // Acknowledges each batch as applied; the last answer says that all are durable.
  grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse>* Mutate(grpc::CallbackServerContext* context) override;
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_IDLE_SERVICE_H_
