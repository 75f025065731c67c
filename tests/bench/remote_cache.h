// A cache of a server in another process, through the generated stubs.
#ifndef DMCACHED_TESTS_BENCH_REMOTE_CACHE_H_
#define DMCACHED_TESTS_BENCH_REMOTE_CACHE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "grpcpp/channel.h"
#include "tests/bench/run.h"

namespace dmcached::bench {

class RemoteCache {  // Not thread-safe.
 public:
  static constexpr char kName[] = "bench";

  // Nothing is created: for the server that does nothing.
  explicit RemoteCache(const std::shared_ptr<grpc::Channel>& channel);
  // Format 2 in a new file, on an origin twice as large.
  RemoteCache(const std::shared_ptr<grpc::Channel>& channel, Run& run, uint32_t cblocks);

  uint64_t incarnation() const { return incarnation_; }
  v1::MetadataService::Stub& stub() { return *stub_; }
  // Sends `batches` in one stream, and waits until all of them are durable.
  void Mutate(const std::vector<v1::MutateRequest>& batches);

 private:
  std::unique_ptr<v1::MetadataService::Stub> stub_;
  uint64_t incarnation_ = 1;
};

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_REMOTE_CACHE_H_
