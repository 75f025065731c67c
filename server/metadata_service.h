// MetadataService: unary rpcs convert, hand over to the engine and finish from its answer; streams have their own
// files.
#ifndef DMCACHED_SERVER_METADATA_SERVICE_H_
#define DMCACHED_SERVER_METADATA_SERVICE_H_

#include "core/base/clock.h"
#include "core/base/executor.h"
#include "core/cache/engine.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "server/authorization.h"
#include "server/rpc_metrics.h"

namespace dmcached {

class MetadataServiceImpl final : public v1::MetadataService::CallbackService {
 public:
  // All outlive the service.
  MetadataServiceImpl(Engine& engine, const Authorization& authorization, Executor& readers, RpcMetrics& metrics,
                      const Clock& clock);

  grpc::ServerUnaryReactor* ReserveCblocks(grpc::CallbackServerContext* context,
                                           const v1::ReserveCblocksRequest* request,
                                           v1::ReserveCblocksResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseCblocks(grpc::CallbackServerContext* context,
                                           const v1::ReleaseCblocksRequest* request,
                                           v1::ReleaseCblocksResponse* response) override;
  grpc::ServerUnaryReactor* InsertMappings(grpc::CallbackServerContext* context,
                                           const v1::InsertMappingsRequest* request,
                                           v1::InsertMappingsResponse* response) override;
  grpc::ServerUnaryReactor* RemoveMappings(grpc::CallbackServerContext* context,
                                           const v1::RemoveMappingsRequest* request,
                                           v1::RemoveMappingsResponse* response) override;
  grpc::ServerUnaryReactor* MarkDirty(grpc::CallbackServerContext* context, const v1::MarkDirtyRequest* request,
                                      v1::MarkDirtyResponse* response) override;
  grpc::ServerUnaryReactor* ClearDirty(grpc::CallbackServerContext* context, const v1::ClearDirtyRequest* request,
                                       v1::ClearDirtyResponse* response) override;
  grpc::ServerUnaryReactor* LookupMappings(grpc::CallbackServerContext* context,
                                           const v1::LookupMappingsRequest* request,
                                           v1::LookupMappingsResponse* response) override;
  grpc::ServerWriteReactor<v1::ListMappingsResponse>* ListMappings(grpc::CallbackServerContext* context,
                                                                   const v1::ListMappingsRequest* request) override;
  grpc::ServerUnaryReactor* SetDiscards(grpc::CallbackServerContext* context, const v1::SetDiscardsRequest* request,
                                        v1::SetDiscardsResponse* response) override;
  grpc::ServerUnaryReactor* ClearDiscards(grpc::CallbackServerContext* context, const v1::ClearDiscardsRequest* request,
                                          v1::ClearDiscardsResponse* response) override;
  grpc::ServerWriteReactor<v1::ListDiscardsResponse>* ListDiscards(grpc::CallbackServerContext* context,
                                                                   const v1::ListDiscardsRequest* request) override;
  grpc::ServerUnaryReactor* BeginHints(grpc::CallbackServerContext* context, const v1::BeginHintsRequest* request,
                                       v1::BeginHintsResponse* response) override;
  grpc::ServerUnaryReactor* SaveHints(grpc::CallbackServerContext* context, const v1::SaveHintsRequest* request,
                                      v1::SaveHintsResponse* response) override;
  grpc::ServerWriteReactor<v1::ListHintsResponse>* ListHints(grpc::CallbackServerContext* context,
                                                             const v1::ListHintsRequest* request) override;
  grpc::ServerUnaryReactor* GetStats(grpc::CallbackServerContext* context, const v1::GetStatsRequest* request,
                                     v1::GetStatsResponse* response) override;
  grpc::ServerUnaryReactor* SetStats(grpc::CallbackServerContext* context, const v1::SetStatsRequest* request,
                                     v1::SetStatsResponse* response) override;
  grpc::ServerUnaryReactor* Commit(grpc::CallbackServerContext* context, const v1::CommitRequest* request,
                                   v1::CommitResponse* response) override;
  grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse>* Mutate(grpc::CallbackServerContext* context) override;

 private:
  // One mutation: converts `request`, applies it, fills `response`.
  template <typename Request, typename Response>
  grpc::ServerUnaryReactor* ApplyOne(grpc::CallbackServerContext* context, const Request& request, Response* response);

  Engine& engine_;
  const Authorization& authorization_;
  Executor& readers_;
  const Clock& clock_;
  RpcMetrics::Method& lookups_;
  RpcMetrics::Method& mutates_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_METADATA_SERVICE_H_
