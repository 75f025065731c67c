// The list rpcs: server streams over a snapshot of one cache.
//
// A stream takes a snapshot, then reads one page on the readers and writes it, and so on: never more than one page of a
// stream is in memory.  Exactly one step is under way at a time, so a stream ends only between steps.  A snapshot that
// the client leaves idle for too long is revoked by the engine, which the next read answers with SNAPSHOT_REVOKED.
#ifndef DMCACHED_SERVER_LIST_STREAMS_H_
#define DMCACHED_SERVER_LIST_STREAMS_H_

#include "absl/status/status.h"
#include "core/base/executor.h"
#include "core/cache/engine.h"
#include "dmcached/v1/metadata_service.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"

namespace dmcached {

// Each reactor deletes itself when the stream is over.  `allowed`: whether the caller may; what a refused one gets.
// `engine` and `readers` outlive it.
grpc::ServerWriteReactor<v1::ListMappingsResponse>* StartListMappings(grpc::CallbackServerContext* context,
                                                                      const v1::ListMappingsRequest& request,
                                                                      const absl::Status& allowed, Engine& engine,
                                                                      Executor& readers);
grpc::ServerWriteReactor<v1::ListDiscardsResponse>* StartListDiscards(grpc::CallbackServerContext* context,
                                                                      const v1::ListDiscardsRequest& request,
                                                                      const absl::Status& allowed, Engine& engine,
                                                                      Executor& readers);
grpc::ServerWriteReactor<v1::ListHintsResponse>* StartListHints(grpc::CallbackServerContext* context,
                                                                const v1::ListHintsRequest& request,
                                                                const absl::Status& allowed, Engine& engine,
                                                                Executor& readers);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_LIST_STREAMS_H_
