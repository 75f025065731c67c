#include "server/metadata_service.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/mutation.h"
#include "server/convert.h"
#include "server/list_streams.h"
#include "server/mutate_stream.h"
#include "server/unary.h"

namespace dmcached {
namespace {

using grpc::experimental::ServerRpcInfo;

}  // namespace

MetadataServiceImpl::MetadataServiceImpl(Engine& engine, const Authorization& authorization, Executor& readers,
                                         RpcMetrics& metrics, const Clock& clock)
    : engine_(engine),
      authorization_(authorization),
      readers_(readers),
      clock_(clock),
      lookups_(metrics.FindForHandler("/dmcached.v1.MetadataService/LookupMappings", ServerRpcInfo::Type::UNARY)),
      mutates_(metrics.FindForHandler("/dmcached.v1.MetadataService/Mutate", ServerRpcInfo::Type::BIDI_STREAMING)) {}

template <typename Request, typename Response>
grpc::ServerUnaryReactor* MetadataServiceImpl::ApplyOne(grpc::CallbackServerContext* context, const Request& request,
                                                        Response* response) {
  if (const absl::Status denied = authorization_.Check(*context, request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request.cache()); !named.ok()) return FinishWith(context, named);
  absl::StatusOr<MutationCall> call = ToMutation(request);
  if (!call.ok()) return FinishWith(context, call.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (CallerIsGone(*context)) {
    reactor->Finish(CallerGoneStatus());
    return reactor;
  }
  call->conditions.abandoned = [context] { return CallerIsGone(*context); };
  engine_.Apply(request.cache(), std::move(call->mutation), std::move(call->conditions),
                [this, context, &request, reactor, response,
                 ranges = std::move(call->ranges)](absl::StatusOr<MutationResult> result) {
                  authorization_.Audit(*context, request, request.options().request_id(), result.status());
                  if (result.ok()) {
                    FillResult(*result, response->mutable_result());
                    if constexpr (requires { response->set_removed_count(0); }) {
                      response->set_removed_count(result->removed_count);
                    }
                  }
                  reactor->Finish(ToGrpcStatus(result.status()));
                });
  return reactor;
}

grpc::ServerUnaryReactor* MetadataServiceImpl::ReserveCblocks(grpc::CallbackServerContext* context,
                                                              const v1::ReserveCblocksRequest* request,
                                                              v1::ReserveCblocksResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request->cache()); !named.ok()) return FinishWith(context, named);
  if (request->count() == 0 || request->count() > kMaxItemsPerRequest) {
    const Reason reason = request->count() == 0 ? Reason::kInvalidRequest : Reason::kTooManyItems;
    return FinishWith(context, MakeError(reason, absl::StrCat("count is ", request->count(), ", allowed are 1 to ",
                                                              kMaxItemsPerRequest)));
  }
  const Duration longest = engine_.options().max_reservation_ttl;
  const Duration asked = std::chrono::milliseconds(request->ttl_ms());
  if (asked > longest) {
    const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(longest).count();
    return FinishWith(context, MakeError(Reason::kInvalidRequest, absl::StrCat("ttl_ms is ", request->ttl_ms(),
                                                                               ", at most ", limit, " is allowed")));
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_.Reserve(
      request->cache(), request->count(), request->ttl_ms() == 0 ? longest : asked,
      [context] { return CallerIsGone(*context); },
      [reactor, response](absl::StatusOr<Reservation> result) {
        if (result.ok()) {
          response->set_reservation(result->id);
          response->mutable_cblocks()->Add(result->cblocks.begin(), result->cblocks.end());
          response->set_ttl_ms(
              static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(result->ttl).count()));
          response->set_incarnation(result->incarnation);
        }
        reactor->Finish(ToGrpcStatus(result.status()));
      });
  return reactor;
}

grpc::ServerUnaryReactor* MetadataServiceImpl::ReleaseCblocks(grpc::CallbackServerContext* context,
                                                              const v1::ReleaseCblocksRequest* request,
                                                              v1::ReleaseCblocksResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request->cache()); !named.ok()) return FinishWith(context, named);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_.Release(request->cache(), request->reservation(), [reactor, response](absl::StatusOr<uint32_t> released) {
    if (released.ok()) response->set_released_count(*released);
    reactor->Finish(ToGrpcStatus(released.status()));
  });
  return reactor;
}

grpc::ServerUnaryReactor* MetadataServiceImpl::InsertMappings(grpc::CallbackServerContext* context,
                                                              const v1::InsertMappingsRequest* request,
                                                              v1::InsertMappingsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::RemoveMappings(grpc::CallbackServerContext* context,
                                                              const v1::RemoveMappingsRequest* request,
                                                              v1::RemoveMappingsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::MarkDirty(grpc::CallbackServerContext* context,
                                                         const v1::MarkDirtyRequest* request,
                                                         v1::MarkDirtyResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::ClearDirty(grpc::CallbackServerContext* context,
                                                          const v1::ClearDirtyRequest* request,
                                                          v1::ClearDirtyResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::LookupMappings(grpc::CallbackServerContext* context,
                                                              const v1::LookupMappingsRequest* request,
                                                              v1::LookupMappingsResponse* response) {
  CountedRpc rpc(lookups_, clock_);
  rpc.CountReceived();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto finish = [reactor, response, rpc = std::move(rpc)](const absl::StatusOr<LookupResult>& result) mutable {
    if (result.ok()) {
      FillLookup(*result, response);
      rpc.CountSent();
    }
    const grpc::Status status = ToGrpcStatus(result.status());
    rpc.set_code(status.error_code());
    reactor->Finish(status);
  };
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    finish(denied);
  } else if (const absl::Status named = CheckCacheName(request->cache()); !named.ok()) {
    finish(named);
  } else if (const absl::StatusOr<LookupRequest> lookup = ToLookup(*request); !lookup.ok()) {
    finish(lookup.status());
  } else {
    engine_.Lookup(request->cache(), *lookup, std::move(finish));
  }
  return reactor;
}

grpc::ServerWriteReactor<v1::ListMappingsResponse>* MetadataServiceImpl::ListMappings(
    grpc::CallbackServerContext* context, const v1::ListMappingsRequest* request) {
  return StartListMappings(context, *request, authorization_.Check(*context, *request), engine_, readers_);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::SetDiscards(grpc::CallbackServerContext* context,
                                                           const v1::SetDiscardsRequest* request,
                                                           v1::SetDiscardsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::ClearDiscards(grpc::CallbackServerContext* context,
                                                             const v1::ClearDiscardsRequest* request,
                                                             v1::ClearDiscardsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerWriteReactor<v1::ListDiscardsResponse>* MetadataServiceImpl::ListDiscards(
    grpc::CallbackServerContext* context, const v1::ListDiscardsRequest* request) {
  return StartListDiscards(context, *request, authorization_.Check(*context, *request), engine_, readers_);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::BeginHints(grpc::CallbackServerContext* context,
                                                          const v1::BeginHintsRequest* request,
                                                          v1::BeginHintsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::SaveHints(grpc::CallbackServerContext* context,
                                                         const v1::SaveHintsRequest* request,
                                                         v1::SaveHintsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerWriteReactor<v1::ListHintsResponse>* MetadataServiceImpl::ListHints(grpc::CallbackServerContext* context,
                                                                                const v1::ListHintsRequest* request) {
  return StartListHints(context, *request, authorization_.Check(*context, *request), engine_, readers_);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::GetStats(grpc::CallbackServerContext* context,
                                                        const v1::GetStatsRequest* request,
                                                        v1::GetStatsResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  return RunOnReaders(context, readers_, [this, request, response]() -> absl::Status {
    DMCACHED_RETURN_IF_ERROR(CheckCacheName(request->cache()));
    DMCACHED_ASSIGN_OR_RETURN(const Stats stats, engine_.GetStats(request->cache()));
    FillStats(stats, response->mutable_stats());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* MetadataServiceImpl::SetStats(grpc::CallbackServerContext* context,
                                                        const v1::SetStatsRequest* request,
                                                        v1::SetStatsResponse* response) {
  return ApplyOne(context, *request, response);
}

grpc::ServerUnaryReactor* MetadataServiceImpl::Commit(grpc::CallbackServerContext* context,
                                                      const v1::CommitRequest* request, v1::CommitResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request->cache()); !named.ok()) return FinishWith(context, named);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  engine_.Commit(request->cache(), request->clean_shutdown(),
                 [this, context, request, reactor, response](absl::StatusOr<MutationResult> result) {
                   authorization_.Audit(*context, *request, "", result.status());
                   if (result.ok()) FillResult(*result, response->mutable_result());
                   reactor->Finish(ToGrpcStatus(result.status()));
                 });
  return reactor;
}

grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse>* MetadataServiceImpl::Mutate(
    grpc::CallbackServerContext* context) {
  return new MutateStream(engine_, authorization_, *context, CountedRpc(mutates_, clock_));
}

}  // namespace dmcached
