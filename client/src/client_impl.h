// What the methods of Client share.
#ifndef DMCACHED_CLIENT_SRC_CLIENT_IMPL_H_
#define DMCACHED_CLIENT_SRC_CLIENT_IMPL_H_

#include <memory>
#include <string>
#include <utility>

#include "client/src/connection.h"
#include "client/src/incarnations.h"
#include "dmcached/client.h"
#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/maintenance_service.grpc.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"

namespace dmcached::client {

class Client::Impl {
 public:
  explicit Impl(ClientOptions options)
      : connection(std::move(options)),
        cache_stub(v1::CacheService::NewStub(connection.channel())),
        metadata_stub(v1::MetadataService::NewStub(connection.channel())),
        maintenance_stub(v1::MaintenanceService::NewStub(connection.channel())) {}

  // The rules of an ordinary unary call.
  CallRules Rules(const CallOptions& options, Repeatable repeatable) const {
    const ClientOptions& defaults = connection.options();
    return {.timeout = options.timeout.value_or(defaults.timeout),
            .repeat_for = options.repeat_for.value_or(defaults.repeat_for),
            .repeatable = repeatable};
  }
  // The same for a call that may take as long as it takes.
  CallRules LongRules(const CallOptions& options, Repeatable repeatable) const {
    CallRules rules = Rules(options, repeatable);
    rules.timeout = options.timeout.value_or(kNoDeadline);
    return rules;
  }

  // Calls `method` of `stub` until it is answered, as `rules` say.
  template <typename Stub, typename Method, typename Request, typename Response>
  absl::Status Call(const CallRules& rules, Stub& stub, Method method, const Request& request, Response& response) {
    return connection.Call(rules, [&](grpc::ClientContext& context) {
      response.Clear();
      return (stub.*method)(&context, request, &response);
    });
  }

  // The incarnation that a request about `cache` names: the caller's, the last seen, or the one GetCache tells.
  absl::StatusOr<uint64_t> IncarnationFor(const std::string& cache, std::optional<uint64_t> given,
                                          const CallOptions& options);

  // Fills the options of a mutation.  Errors: as IncarnationFor.
  absl::Status FillOptions(const std::string& cache, const MutationOptions& options, v1::MutationOptions& message);

  absl::StatusOr<Cache> GetCache(const std::string& cache, const CallOptions& options);

  Connection connection;
  Incarnations incarnations;
  const std::unique_ptr<v1::CacheService::Stub> cache_stub;
  const std::unique_ptr<v1::MetadataService::Stub> metadata_stub;
  const std::unique_ptr<v1::MaintenanceService::Stub> maintenance_stub;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_CLIENT_IMPL_H_
