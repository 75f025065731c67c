// The yardstick of calls: parses what comes, acknowledges it, and does nothing else; or reads one line of memory for
// every item, which is the least that an index of oblocks could do.
#ifndef DMCACHED_TESTS_BENCH_IDLE_SERVICE_H_
#define DMCACHED_TESTS_BENCH_IDLE_SERVICE_H_

#include "core/base/huge_memory.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"

namespace dmcached::bench {

class IdleService final : public v1::MetadataService::CallbackService {
 public:
  // `read_bytes`: of the memory that inserts read a line of; 0: they read none.
  // Its memory is the system's own only once it was written to.
  explicit IdleService(size_t read_bytes) : memory_(read_bytes) { memory_.Populate(0, read_bytes); }

  // Answers at once, with an empty message.
  grpc::ServerUnaryReactor* LookupMappings(grpc::CallbackServerContext* context,
                                           const v1::LookupMappingsRequest* request,
                                           v1::LookupMappingsResponse* response) override;
  // Acknowledges each batch as applied; the last answer says that all are durable.
  grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse>* Mutate(grpc::CallbackServerContext* context) override;

 private:
  const HugeMemory memory_;
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_IDLE_SERVICE_H_
