// MetadataService: unary calls.
#include <type_traits>
#include <utility>
#include <variant>

#include "client/src/client_impl.h"
#include "client/src/convert.h"
#include "dmcached/client.h"

namespace dmcached::client {
namespace {

using Stub = v1::MetadataService::Stub;

// Which rpc applies a batch.
template <typename Batch>
struct RpcOf;
#define DMCACHED_RPC_OF(batch, name)             \
  template <>                                    \
  struct RpcOf<batch> {                          \
    using Response = v1::name##Response;         \
    static constexpr auto kMethod = &Stub::name; \
  }
DMCACHED_RPC_OF(InsertBatch, InsertMappings);
DMCACHED_RPC_OF(RemoveBatch, RemoveMappings);
DMCACHED_RPC_OF(MarkDirtyBatch, MarkDirty);
DMCACHED_RPC_OF(ClearDirtyBatch, ClearDirty);
DMCACHED_RPC_OF(SetDiscardsBatch, SetDiscards);
DMCACHED_RPC_OF(ClearDiscardsBatch, ClearDiscards);
DMCACHED_RPC_OF(BeginHintsBatch, BeginHints);
DMCACHED_RPC_OF(SaveHintsBatch, SaveHints);
DMCACHED_RPC_OF(SetStatsBatch, SetStats);
#undef DMCACHED_RPC_OF

template <typename Response>
MutationResult ResultOf(const Response& response) {
  MutationResult result = FromProto(response.result());
  if constexpr (std::is_same_v<Response, v1::RemoveMappingsResponse>) result.removed_count = response.removed_count();
  return result;
}

template <typename Blocks>
absl::StatusOr<LookupResult> Lookup(Client::Impl& impl, const v1::LookupMappingsRequest& request, const Blocks& blocks,
                                    const CallOptions& options) {
  v1::LookupMappingsResponse response;
  absl::Status status =
      impl.Call(impl.Rules(options, Repeatable::kYes), *impl.metadata_stub, &Stub::LookupMappings, request, response);
  if (!status.ok()) return status;
  impl.incarnations.Learn(request.cache(), response.incarnation());
  absl::StatusOr<LookupResult> result = FromProto(response);
  if (result.ok() && result->mappings.size() != blocks.size()) {
    return absl::InternalError("the service answered a look-up with another number of items than were asked");
  }
  return result;
}

}  // namespace

absl::StatusOr<Reservation> Client::ReserveCblocks(const std::string& cache, uint32_t count, uint32_t ttl_ms,
                                                   const CallOptions& options) {
  v1::ReserveCblocksRequest request;
  request.set_cache(cache);
  request.set_count(count);
  request.set_ttl_ms(ttl_ms);
  v1::ReserveCblocksResponse response;
  absl::Status status = impl_->Call(impl_->Rules(options, Repeatable::kNo), *impl_->metadata_stub,
                                    &Stub::ReserveCblocks, request, response);
  if (!status.ok()) return status;
  impl_->incarnations.Learn(cache, response.incarnation());
  return FromProto(response);
}

absl::StatusOr<uint32_t> Client::ReleaseCblocks(const std::string& cache, uint64_t reservation,
                                                const CallOptions& options) {
  v1::ReleaseCblocksRequest request;
  request.set_cache(cache);
  request.set_reservation(reservation);
  v1::ReleaseCblocksResponse response;
  absl::Status status = impl_->Call(impl_->Rules(options, Repeatable::kNo), *impl_->metadata_stub,
                                    &Stub::ReleaseCblocks, request, response);
  if (!status.ok()) return status;
  return response.released_count();
}

absl::StatusOr<MutationResult> Client::Apply(const std::string& cache, const Batch& batch,
                                             const MutationOptions& options) {
  return std::visit(
      [&](const auto& typed) -> absl::StatusOr<MutationResult> {
        using Rpc = RpcOf<std::decay_t<decltype(typed)>>;
        auto request = ToProto(typed);
        request.set_cache(cache);
        if (absl::Status status = impl_->FillOptions(cache, options, *request.mutable_options()); !status.ok()) {
          return status;
        }
        typename Rpc::Response response;
        absl::Status status = impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->metadata_stub, Rpc::kMethod,
                                          request, response);
        if (!status.ok()) return status;
        impl_->incarnations.Learn(cache, response.result().incarnation());
        return ResultOf(response);
      },
      batch);
}

absl::StatusOr<MutationResult> Client::Commit(const std::string& cache, bool clean_shutdown,
                                              const CallOptions& options) {
  v1::CommitRequest request;
  request.set_cache(cache);
  request.set_clean_shutdown(clean_shutdown);
  v1::CommitResponse response;
  absl::Status status =
      impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->metadata_stub, &Stub::Commit, request, response);
  if (!status.ok()) return status;
  impl_->incarnations.Learn(cache, response.result().incarnation());
  return FromProto(response.result());
}

absl::StatusOr<LookupResult> Client::LookupCblocks(const std::string& cache, std::span<const uint32_t> cblocks,
                                                   bool durable, const CallOptions& options) {
  v1::LookupMappingsRequest request;
  request.set_cache(cache);
  request.set_durable(durable);
  request.mutable_cblocks()->Add(cblocks.begin(), cblocks.end());
  return Lookup(*impl_, request, cblocks, options);
}

absl::StatusOr<LookupResult> Client::LookupOblocks(const std::string& cache, std::span<const uint64_t> oblocks,
                                                   bool durable, const CallOptions& options) {
  v1::LookupMappingsRequest request;
  request.set_cache(cache);
  request.set_durable(durable);
  request.mutable_oblocks()->Add(oblocks.begin(), oblocks.end());
  return Lookup(*impl_, request, oblocks, options);
}

absl::StatusOr<Stats> Client::GetStats(const std::string& cache, const CallOptions& options) {
  v1::GetStatsRequest request;
  request.set_cache(cache);
  v1::GetStatsResponse response;
  absl::Status status =
      impl_->Call(impl_->Rules(options, Repeatable::kYes), *impl_->metadata_stub, &Stub::GetStats, request, response);
  if (!status.ok()) return status;
  return FromProto(response.stats());
}

}  // namespace dmcached::client
