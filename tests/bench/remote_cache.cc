#include "tests/bench/remote_cache.h"

#include "dmcached/v1/cache_service.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "tests/bench/served_store.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kBlockSectors = 128;

void Check(const char* what, const grpc::Status& status) {
  if (!status.ok()) GiveUp(std::string(what) + ": " + status.error_message());
}

}  // namespace

RemoteCache::RemoteCache(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::MetadataService::NewStub(channel)) {}

RemoteCache::RemoteCache(const std::shared_ptr<grpc::Channel>& channel, Run& run, uint32_t cblocks)
    : RemoteCache(channel) {
  v1::CreateCacheRequest request;
  request.set_name(kName);
  request.set_metadata_path(NewServedFile(run, 2, cblocks));
  request.set_data_block_size_sectors(kBlockSectors);
  request.set_cache_blocks(cblocks);
  request.set_origin_size_sectors(uint64_t{cblocks} * 2 * kBlockSectors);
  grpc::ClientContext context;
  v1::CreateCacheResponse response;
  Check("create", v1::CacheService::NewStub(channel)->CreateCache(&context, request, &response));
  incarnation_ = response.cache().incarnation();
}

void RemoteCache::Mutate(const std::vector<v1::MutateRequest>& batches) {
  grpc::ClientContext context;
  const auto stream = stub_->Mutate(&context);
  for (const v1::MutateRequest& batch : batches) {
    if (!stream->Write(batch)) break;  // The status tells why.
  }
  stream->WritesDone();
  // Acknowledgements are small: all of them wait here until now without holding back the server.
  uint64_t durable = 0;
  for (v1::MutateResponse answer; stream->Read(&answer);) durable = answer.durable_through();
  Check("mutate", stream->Finish());
  if (durable != batches.back().batch()) GiveUp("not all batches are durable");
}

}  // namespace dmcached::bench
