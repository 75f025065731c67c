// The client of one dmcached daemon.
//
// Every call returns an absl::Status whose payload holds the service's reason (status.h).  The client fills in request
// ids and the incarnation that it last saw of each cache, and repeats a request that got no answer, the same bytes with
// the same ids, within ClientOptions::repeat_for.  Not repeated: CreateCache, OpenCache, CloseCache, DeleteCache,
// ReserveCblocks and ReleaseCblocks, which carry no request id, and streams.  After INCARNATION_CHANGED it reports and
// never repeats: every decision made before has to be made again.  A caller whose decisions must not outlive a restart
// that another thread has noticed names the incarnation itself (MutationOptions::incarnation).
//
// What the caller promises about data I/O is in proto/dmcached/v1/metadata_service.proto.
// Thread-safe.  Calls block the calling thread.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_CLIENT_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_CLIENT_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dmcached/check_types.h"
#include "dmcached/mutate_stream.h"
#include "dmcached/options.h"
#include "dmcached/ranges.h"
#include "dmcached/status.h"
#include "dmcached/types.h"

namespace dmcached::client {

class Client {
 public:
  // Makes no connection yet; the first call does.
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // CacheService: lifecycle.
  absl::StatusOr<ServerInfo> GetServerInfo(const CallOptions& options = {});
  absl::StatusOr<ProbeResult> ProbeCache(const std::string& metadata_path, const CallOptions& options = {});
  absl::StatusOr<PlanResult> PlanCache(const PlanRequest& request, const CallOptions& options = {});
  absl::StatusOr<Cache> CreateCache(const CreateRequest& request, const CallOptions& options = {});
  absl::StatusOr<OpenResult> OpenCache(const OpenRequest& request, const CallOptions& options = {});
  absl::Status CloseCache(const CloseRequest& request, const CallOptions& options = {});
  absl::Status DeleteCache(const DeleteRequest& request, const CallOptions& options = {});
  absl::StatusOr<Cache> GetCache(const std::string& cache, const CallOptions& options = {});
  // One page; `page_size` 0: 100.
  absl::StatusOr<CachePage> ListCaches(uint32_t page_size, const std::string& page_token,
                                       const CallOptions& options = {});
  absl::StatusOr<ResizeResult> ResizeCache(const std::string& cache, const ResizeRequest& request,
                                           const MutationOptions& options = {});

  // MetadataService: mutations.
  // `ttl_ms` 0: the service's longest.
  absl::StatusOr<Reservation> ReserveCblocks(const std::string& cache, uint32_t count, uint32_t ttl_ms,
                                             const CallOptions& options = {});
  // Returns how many cblocks were still held.
  absl::StatusOr<uint32_t> ReleaseCblocks(const std::string& cache, uint64_t reservation,
                                          const CallOptions& options = {});
  // InsertMappings, RemoveMappings, MarkDirty, ClearDirty, SetDiscards, ClearDiscards, BeginHints, SaveHints, SetStats:
  // the type of the batch chooses the rpc.
  absl::StatusOr<MutationResult> Apply(const std::string& cache, const Batch& batch,
                                       const MutationOptions& options = {});
  // Makes everything accepted so far durable.
  absl::StatusOr<MutationResult> Commit(const std::string& cache, bool clean_shutdown = false,
                                        const CallOptions& options = {});
  // Learns the incarnation first if none is known: may fail like GetCache.
  absl::StatusOr<MutateStream> Mutate(const std::string& cache, const MutateStreamOptions& options = {});

  // MetadataService: reads.  `durable`: wait until what was seen is durable.
  absl::StatusOr<LookupResult> LookupCblocks(const std::string& cache, std::span<const uint32_t> cblocks,
                                             bool durable = false, const CallOptions& options = {});
  absl::StatusOr<LookupResult> LookupOblocks(const std::string& cache, std::span<const uint64_t> oblocks,
                                             bool durable = false, const CallOptions& options = {});
  absl::StatusOr<Stats> GetStats(const std::string& cache, const CallOptions& options = {});
  Stream<Mapping> ListMappings(const std::string& cache, const ListMappingsRequest& request = {},
                               const CallOptions& options = {});
  // Maximal discarded ranges of dblocks, in order.
  Stream<BlockRange> ListDiscards(const std::string& cache, const std::string& cursor = {},
                                  const CallOptions& options = {});
  Stream<Hint> ListHints(const std::string& cache, const ListHintsRequest& request = {},
                         const CallOptions& options = {});

  // MaintenanceService.  Reads all metadata, tells `callbacks` on the way; waits for the end unless there is a timeout.
  absl::StatusOr<CheckSummary> Check(const CheckRequest& request, const CheckCallbacks& callbacks = {},
                                     const CallOptions& options = {});

  // grpc.health.v1: "" is the process, "dmcached.v1.CacheService" readiness, "cache/NAME" one cache.
  absl::StatusOr<Health> CheckHealth(const std::string& service, const CallOptions& options = {});

  class Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_CLIENT_H_
