// CacheService, and what identifies a mutation.
#include "dmcached/client.h"

#include <utility>

#include "client/src/client_impl.h"
#include "client/src/convert.h"
#include "client/src/request_id.h"

namespace dmcached::client {

using Stub = v1::CacheService::Stub;

absl::StatusOr<Cache> Client::Impl::GetCache(const std::string& cache, const CallOptions& options) {
  v1::GetCacheRequest request;
  request.set_name(cache);
  v1::GetCacheResponse response;
  absl::Status status = Call(Rules(options, Repeatable::kYes), *cache_stub, &Stub::GetCache, request, response);
  if (!status.ok()) return status;
  incarnations.Learn(cache, response.cache().incarnation());
  return FromProto(response.cache());
}

absl::StatusOr<uint64_t> Client::Impl::IncarnationFor(const std::string& cache, std::optional<uint64_t> given,
                                                      const CallOptions& options) {
  if (given) return *given;
  if (const std::optional<uint64_t> known = incarnations.Known(cache)) return *known;
  const absl::StatusOr<Cache> found = GetCache(cache, options);
  if (!found.ok()) return found.status();
  return found->incarnation;
}

absl::Status Client::Impl::FillOptions(const std::string& cache, const MutationOptions& options,
                                       v1::MutationOptions& message) {
  const absl::StatusOr<uint64_t> incarnation = IncarnationFor(cache, options.incarnation, options);
  if (!incarnation.ok()) return incarnation.status();
  message.set_incarnation(*incarnation);
  message.set_request_id(options.request_id.empty() ? NewRequestId() : options.request_id);
  if (options.expected_revision) message.set_expected_revision(*options.expected_revision);
  message.set_durable(options.durable);
  return absl::OkStatus();
}

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Client::~Client() = default;

absl::StatusOr<ServerInfo> Client::GetServerInfo(const CallOptions& options) {
  v1::GetServerInfoResponse response;
  absl::Status status = impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->cache_stub, &Stub::GetServerInfo,
                                    v1::GetServerInfoRequest(), response);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<ProbeResult> Client::ProbeCache(const std::string& metadata_path, const CallOptions& options) {
  v1::ProbeCacheRequest request;
  request.set_metadata_path(metadata_path);
  v1::ProbeCacheResponse response;
  absl::Status status =
      impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->cache_stub, &Stub::ProbeCache, request, response);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<PlanResult> Client::PlanCache(const PlanRequest& request, const CallOptions& options) {
  v1::PlanCacheResponse response;
  absl::Status status = impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->cache_stub, &Stub::PlanCache,
                                    ToProto(request), response);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<Cache> Client::CreateCache(const CreateRequest& request, const CallOptions& options) {
  v1::CreateCacheResponse response;
  absl::Status status = impl_->Call(impl_->LongRules(options, Repeatable::kNo), *impl_->cache_stub, &Stub::CreateCache,
                                    ToProto(request), response);
  if (!status.ok()) return status;
  impl_->incarnations.Learn(request.name, response.cache().incarnation());
  return FromProto(response.cache());
}

absl::StatusOr<OpenResult> Client::OpenCache(const OpenRequest& request, const CallOptions& options) {
  v1::OpenCacheResponse response;
  absl::Status status = impl_->Call(impl_->LongRules(options, Repeatable::kNo), *impl_->cache_stub, &Stub::OpenCache,
                                    ToProto(request), response);
  if (!status.ok()) return status;
  impl_->incarnations.Learn(request.name, response.cache().incarnation());
  return OpenResult{.cache = FromProto(response.cache()), .adopted = response.adopted()};
}

absl::Status Client::CloseCache(const CloseRequest& request, const CallOptions& options) {
  v1::CloseCacheRequest message;
  message.set_name(request.name);
  message.set_require_no_dirty(request.require_no_dirty);
  message.set_discard_uncommitted(request.discard_uncommitted);
  v1::CloseCacheResponse response;
  absl::Status status =
      impl_->Call(impl_->LongRules(options, Repeatable::kNo), *impl_->cache_stub, &Stub::CloseCache, message, response);
  if (status.ok()) impl_->incarnations.Forget(request.name);
  return status;
}

absl::Status Client::DeleteCache(const DeleteRequest& request, const CallOptions& options) {
  v1::DeleteCacheRequest message;
  message.set_name(request.name);
  message.set_wipe(request.wipe);
  message.set_discard_dirty(request.discard_dirty);
  v1::DeleteCacheResponse response;
  absl::Status status = impl_->Call(impl_->LongRules(options, Repeatable::kNo), *impl_->cache_stub, &Stub::DeleteCache,
                                    message, response);
  if (status.ok()) impl_->incarnations.Forget(request.name);
  return status;
}

absl::StatusOr<Cache> Client::GetCache(const std::string& cache, const CallOptions& options) {
  return impl_->GetCache(cache, options);
}

absl::StatusOr<CachePage> Client::ListCaches(uint32_t page_size, const std::string& page_token,
                                             const CallOptions& options) {
  v1::ListCachesRequest request;
  request.set_page_size(page_size);
  request.set_page_token(page_token);
  v1::ListCachesResponse response;
  absl::Status status =
      impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->cache_stub, &Stub::ListCaches, request, response);
  if (!status.ok()) return status;
  CachePage page = {.next_page_token = response.next_page_token()};
  for (const v1::Cache& cache : response.caches()) {
    impl_->incarnations.Learn(cache.name(), cache.incarnation());
    page.caches.push_back(FromProto(cache));
  }
  return page;
}

absl::StatusOr<ResizeResult> Client::ResizeCache(const std::string& cache, const ResizeRequest& request,
                                                 const MutationOptions& options) {
  v1::ResizeCacheRequest message;
  message.set_name(cache);
  if (request.cache_blocks) message.set_cache_blocks(*request.cache_blocks);
  if (request.origin_size_sectors) message.set_origin_size_sectors(*request.origin_size_sectors);
  if (absl::Status status = impl_->FillOptions(cache, options, *message.mutable_options()); !status.ok()) {
    return status;
  }
  v1::ResizeCacheResponse response;
  absl::Status status = impl_->Call(impl_->LongRules(options, Repeatable::kYes), *impl_->cache_stub, &Stub::ResizeCache,
                                    message, response);
  if (!status.ok()) return status;
  impl_->incarnations.Learn(cache, response.result().incarnation());
  return ResizeResult{.result = FromProto(response.result()), .cache = FromProto(response.cache())};
}

}  // namespace dmcached::client
