// What every unary handler does: refuse callers that are gone, run reads on the bounded pool, finish exactly once.
#ifndef DMCACHED_SERVER_UNARY_H_
#define DMCACHED_SERVER_UNARY_H_

#include <utility>

#include "absl/status/status.h"
#include "core/base/executor.h"
#include "core/base/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/status_util.h"

namespace dmcached {

// Whether the caller has cancelled or its deadline is over: then nothing may be applied for it any more.
bool CallerIsGone(const grpc::CallbackServerContext& context);
// What such a caller is answered, should it still listen.
grpc::Status CallerGoneStatus();

grpc::ServerUnaryReactor* FinishWith(grpc::CallbackServerContext* context, const absl::Status& status);

// Runs `work` (absl::Status()) on `readers` and answers with what it returns; OVERLOADED when they are full.
template <typename Work>
grpc::ServerUnaryReactor* RunOnReaders(grpc::CallbackServerContext* context, Executor& readers, Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool taken = readers.Schedule([context, reactor, work = std::move(work)]() mutable {
    reactor->Finish(CallerIsGone(*context) ? CallerGoneStatus() : ToGrpcStatus(StopExceptions(work)));
  });
  if (!taken) {
    reactor->Finish(ToGrpcStatus(MakeError(Reason::kOverloaded, "the queue of reads is full, nothing was done")));
  }
  return reactor;
}

}  // namespace dmcached

#endif  // DMCACHED_SERVER_UNARY_H_
