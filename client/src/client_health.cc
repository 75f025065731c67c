// grpc.health.v1.
#include "client/src/client_impl.h"
#include "dmcached/client.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace dmcached::client {

using HealthResponse = grpc::health::v1::HealthCheckResponse;

absl::StatusOr<Health> Client::CheckHealth(const std::string& service, const CallOptions& options) {
  const std::unique_ptr<grpc::health::v1::Health::Stub> stub =
      grpc::health::v1::Health::NewStub(impl_->connection.channel());
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  HealthResponse response;
  absl::Status status = impl_->Call(impl_->Rules(options, Repeatable::kYes), *stub,
                                    &grpc::health::v1::Health::Stub::Check, request, response);
  if (absl::IsNotFound(status)) return Health::kServiceUnknown;
  if (!status.ok()) return status;
  switch (response.status()) {
    case HealthResponse::SERVING:
      return Health::kServing;
    case HealthResponse::NOT_SERVING:
      return Health::kNotServing;
    case HealthResponse::SERVICE_UNKNOWN:
      return Health::kServiceUnknown;
    default:
      return Health::kUnknown;
  }
}

}  // namespace dmcached::client
