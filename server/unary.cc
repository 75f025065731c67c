#include "server/unary.h"

#include <chrono>

namespace dmcached {

bool CallerIsGone(const grpc::CallbackServerContext& context) {
  return context.IsCancelled() || context.deadline() <= std::chrono::system_clock::now();
}

grpc::Status CallerGoneStatus() {
  return grpc::Status(grpc::StatusCode::CANCELLED, "the caller has gone; nothing was applied");
}

grpc::ServerUnaryReactor* FinishWith(grpc::CallbackServerContext* context, const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpcStatus(status));
  return reactor;
}

}  // namespace dmcached
