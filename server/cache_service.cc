#include "server/cache_service.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/geometry.h"
#include "core/cache/mutation.h"
#include "core/store/store.h"
#include "server/cache_convert.h"
#include "server/convert.h"
#include "server/unary.h"
#include "server/version.h"

namespace dmcached {
namespace {

constexpr uint32_t kDefaultPageSize = 100;
constexpr uint32_t kMaxPageSize = 1000;

uint32_t Milliseconds(Duration duration) {
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

template <typename Go>
grpc::ServerUnaryReactor* CacheServiceImpl::WhenAllowed(grpc::CallbackServerContext* context,
                                                        const google::protobuf::Message& request, Go go) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  authorization_.CheckOn(path_follower_, CallerOf(*context), request,
                         [reactor, go = std::move(go)](const absl::Status& allowed) {
                           if (!allowed.ok()) return reactor->Finish(ToGrpcStatus(allowed));
                           go(reactor);
                         });
  return reactor;
}

template <typename Request>
void CacheServiceImpl::LogOutcome(const char* event, const grpc::ServerContextBase& context, const Request& request,
                                  const absl::Status& status) const {
  std::string request_id;
  if constexpr (requires { request.options(); }) request_id = request.options().request_id();
  authorization_.Audit(context, request, request_id, status);
  if (status.ok()) {
    log_.Info(event, {{"cache", request.name()}});
  } else {
    log_.Warning(absl::StrCat(event, "_failed"), {{"cache", request.name()}, {"error", ErrorText(status)}});
  }
}

grpc::ServerUnaryReactor* CacheServiceImpl::GetServerInfo(grpc::CallbackServerContext* context,
                                                          const v1::GetServerInfoRequest* request,
                                                          v1::GetServerInfoResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  const EngineOptions& options = engine_.options();
  response->set_version(Version());
  response->set_revision(Revision());
  response->add_metadata_versions(1);
  response->add_metadata_versions(2);
  response->set_max_items_per_message(kMaxItemsPerRequest);
  response->set_max_message_bytes(kMaxMessageBytes);
  response->set_max_reservation_ttl_ms(Milliseconds(options.max_reservation_ttl));
  response->set_commit_interval_ms(Milliseconds(options.commit_interval));
  response->set_block_cache_bytes(options.block_cache_bytes);
  response->set_max_snapshots(kMaxSnapshots);
  return FinishWith(context, absl::OkStatus());
}

grpc::ServerUnaryReactor* CacheServiceImpl::ProbeCache(grpc::CallbackServerContext* context,
                                                       const v1::ProbeCacheRequest* request,
                                                       v1::ProbeCacheResponse* response) {
  return WhenAllowed(context, *request, [this, request, response](grpc::ServerUnaryReactor* reactor) {
    if (const absl::Status path = CheckPath("metadata_path", request->metadata_path()); !path.ok()) {
      return reactor->Finish(ToGrpcStatus(path));
    }
    engine_.Probe(request->metadata_path(), [reactor, response](absl::StatusOr<ProbeResult> result) {
      if (result.ok()) FillProbe(*result, response);
      reactor->Finish(ToGrpcStatus(result.status()));
    });
  });
}

grpc::ServerUnaryReactor* CacheServiceImpl::PlanCache(grpc::CallbackServerContext* context,
                                                      const v1::PlanCacheRequest* request,
                                                      v1::PlanCacheResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  const absl::StatusOr<Plan> plan =
      dmcached::PlanCache(Sectors(request->origin_size_sectors()), Sectors(request->fast_size_sectors()),
                          Sectors(request->data_block_size_sectors()), engine_.options().block_cache_bytes);
  if (plan.ok()) FillPlan(*plan, response);
  return FinishWith(context, plan.status());
}

grpc::ServerUnaryReactor* CacheServiceImpl::CreateCache(grpc::CallbackServerContext* context,
                                                        const v1::CreateCacheRequest* request,
                                                        v1::CreateCacheResponse* response) {
  return WhenAllowed(context, *request, [this, context, request, response](grpc::ServerUnaryReactor* reactor) {
    absl::StatusOr<CreateOptions> options = ToCreateOptions(*request);
    if (!options.ok()) return reactor->Finish(ToGrpcStatus(options.status()));
    if (CallerIsGone(*context)) return reactor->Finish(CallerGoneStatus());
    const bool validate_only = options->validate_only;
    engine_.Create(*std::move(options),
                   [this, context, reactor, request, response, validate_only](absl::StatusOr<CacheInfo> info) {
                     if (!validate_only) LogOutcome("cache_create", *context, *request, info.status());
                     if (info.ok() && !validate_only) FillCache(*info, response->mutable_cache());
                     reactor->Finish(ToGrpcStatus(info.status()));
                   });
  });
}

grpc::ServerUnaryReactor* CacheServiceImpl::OpenCache(grpc::CallbackServerContext* context,
                                                      const v1::OpenCacheRequest* request,
                                                      v1::OpenCacheResponse* response) {
  return WhenAllowed(context, *request, [this, context, request, response](grpc::ServerUnaryReactor* reactor) {
    absl::StatusOr<OpenOptions> options = ToOpenOptions(*request);
    if (!options.ok()) return reactor->Finish(ToGrpcStatus(options.status()));
    if (CallerIsGone(*context)) return reactor->Finish(CallerGoneStatus());
    engine_.Open(*std::move(options), [this, context, reactor, request, response](absl::StatusOr<OpenResult> result) {
      LogOutcome("cache_open", *context, *request, result.status());
      if (result.ok()) {
        FillCache(result->info, response->mutable_cache());
        response->set_adopted(result->adopted);
      }
      reactor->Finish(ToGrpcStatus(result.status()));
    });
  });
}

grpc::ServerUnaryReactor* CacheServiceImpl::CloseCache(grpc::CallbackServerContext* context,
                                                       const v1::CloseCacheRequest* request,
                                                       v1::CloseCacheResponse* /*response*/) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request->name()); !named.ok()) return FinishWith(context, named);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (CallerIsGone(*context)) {
    reactor->Finish(CallerGoneStatus());
    return reactor;
  }
  engine_.Close(request->name(), CloseOptions{request->require_no_dirty(), request->discard_uncommitted()},
                [this, context, reactor, request](const absl::Status& status) {
                  LogOutcome("cache_close", *context, *request, status);
                  reactor->Finish(ToGrpcStatus(status));
                });
  return reactor;
}

grpc::ServerUnaryReactor* CacheServiceImpl::GetCache(grpc::CallbackServerContext* context,
                                                     const v1::GetCacheRequest* request,
                                                     v1::GetCacheResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  return RunOnReaders(context, readers_, [this, request, response]() -> absl::Status {
    DMCACHED_RETURN_IF_ERROR(CheckCacheName(request->name()));
    DMCACHED_ASSIGN_OR_RETURN(const CacheInfo info, engine_.Get(request->name()));
    FillCache(info, response->mutable_cache());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CacheServiceImpl::ListCaches(grpc::CallbackServerContext* context,
                                                       const v1::ListCachesRequest* request,
                                                       v1::ListCachesResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  return RunOnReaders(context, readers_, [this, context, request, response]() -> absl::Status {
    if (request->page_size() > kMaxPageSize) {
      return MakeError(Reason::kInvalidRequest,
                       absl::StrCat("page_size is ", request->page_size(), ", at most ", kMaxPageSize, " is allowed"));
    }
    // The token is the last name of the page before.
    if (!request->page_token().empty() && !CheckCacheName(request->page_token()).ok()) {
      return MakeError(Reason::kInvalidRequest, "page_token is not one that ListCaches gave");
    }
    const uint32_t page_size = request->page_size() == 0 ? kDefaultPageSize : request->page_size();
    for (const CacheInfo& info : engine_.List()) {
      if (info.name <= request->page_token() || !authorization_.MaySee(*context, info.name)) continue;
      if (static_cast<uint32_t>(response->caches_size()) == page_size) {
        response->set_next_page_token(response->caches(response->caches_size() - 1).name());
        break;
      }
      FillCache(info, response->add_caches());
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CacheServiceImpl::ResizeCache(grpc::CallbackServerContext* context,
                                                        const v1::ResizeCacheRequest* request,
                                                        v1::ResizeCacheResponse* response) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request->name()); !named.ok()) return FinishWith(context, named);
  absl::StatusOr<MutationCall> call = ToMutation(*request);
  if (!call.ok()) return FinishWith(context, call.status());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (CallerIsGone(*context)) {
    reactor->Finish(CallerGoneStatus());
    return reactor;
  }
  call->conditions.abandoned = [context] { return CallerIsGone(*context); };
  engine_.Apply(request->name(), std::move(call->mutation), std::move(call->conditions),
                [this, context, reactor, request, response](absl::StatusOr<MutationResult> result) {
                  LogOutcome("cache_resize", *context, *request, result.status());
                  if (!result.ok()) return reactor->Finish(ToGrpcStatus(result.status()));
                  FillResult(*result, response->mutable_result());
                  // Get takes a lock, which a callback of the engine must not wait for.
                  const bool taken = readers_.Schedule([this, reactor, request, response] {
                    if (const absl::StatusOr<CacheInfo> info = engine_.Get(request->name()); info.ok()) {
                      FillCache(*info, response->mutable_cache());
                    }
                    reactor->Finish(grpc::Status::OK);
                  });
                  // The resize stands; its result is what matters, so a full queue costs the caller only the
                  // description.
                  if (!taken) reactor->Finish(grpc::Status::OK);
                });
  return reactor;
}

grpc::ServerUnaryReactor* CacheServiceImpl::DeleteCache(grpc::CallbackServerContext* context,
                                                        const v1::DeleteCacheRequest* request,
                                                        v1::DeleteCacheResponse* /*response*/) {
  if (const absl::Status denied = authorization_.Check(*context, *request); !denied.ok()) {
    return FinishWith(context, denied);
  }
  if (const absl::Status named = CheckCacheName(request->name()); !named.ok()) return FinishWith(context, named);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  if (CallerIsGone(*context)) {
    reactor->Finish(CallerGoneStatus());
    return reactor;
  }
  engine_.Delete(request->name(), DeleteOptions{request->wipe(), request->discard_dirty()},
                 [this, context, reactor, request](const absl::Status& status) {
                   LogOutcome("cache_delete", *context, *request, status);
                   reactor->Finish(ToGrpcStatus(status));
                 });
  return reactor;
}

}  // namespace dmcached
