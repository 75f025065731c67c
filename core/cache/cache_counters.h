// Counters and gauges of one cache that a metrics scrape reads without any lock that a writer holds.
#ifndef DMCACHED_CORE_CACHE_CACHE_COUNTERS_H_
#define DMCACHED_CORE_CACHE_CACHE_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "core/base/histogram.h"
#include "core/base/status.h"

namespace dmcached {

enum class MutationOp { kInsert, kRemove, kMarkDirty, kClearDirty, kSetDiscard, kClearDiscard, kSaveHint };
inline constexpr size_t kMutationOps = 7;
enum class CommitTrigger { kRpc, kTimer, kAck, kPressure, kClose };
inline constexpr size_t kCommitTriggers = 5;
enum class BlockKind { kSuperblock, kIndex, kArray, kBitmap, kSpaceMapIndex };
inline constexpr size_t kBlockKinds = 5;
inline constexpr size_t kReasons = static_cast<size_t>(Reason::kShuttingDown) + 1;

struct CacheCounters {
  // Items applied, not requests.
  std::array<std::atomic<uint64_t>, kMutationOps> mutations{};
  std::array<std::atomic<uint64_t>, kReasons> rejected{};
  std::array<std::atomic<uint64_t>, kCommitTriggers> commits{};
  std::array<std::atomic<uint64_t>, kBlockKinds> checksum_errors{};
  LatencyHistogram commit_seconds{kLatencyBoundsSeconds};
  BlockCountHistogram commit_written_blocks{kBlockCountBounds};
  std::atomic<uint64_t> unclean_opens{0};
  std::atomic<uint64_t> snapshots_revoked{0};
  std::atomic<uint64_t> checks_ended{0};
  std::atomic<uint64_t> checks_failed{0};  // That did not come to their end.
  std::atomic<uint64_t> last_check_errors{0};
  std::atomic<uint64_t> block_cache_hits{0};
  std::atomic<uint64_t> block_cache_misses{0};

  // Gauges, set by the writer after each change.
  std::atomic<uint64_t> block_cache_bytes{0};
  std::atomic<uint64_t> mapped_blocks{0};
  std::atomic<uint64_t> dirty_blocks{0};
  std::atomic<uint64_t> cache_blocks{0};
  std::atomic<uint64_t> discarded_bytes{0};
  std::atomic<uint64_t> block_size_bytes{0};
  std::atomic<uint64_t> cache_size_bytes{0};
  std::atomic<uint64_t> origin_size_bytes{0};  // 0: unknown.
  std::atomic<uint64_t> metadata_size_bytes{0};
  std::atomic<uint64_t> metadata_free_bytes{0};
  std::atomic<uint64_t> metadata_held_bytes{0};
  std::atomic<uint64_t> pending_mutations{0};  // Requests applied, not durable yet.
  std::atomic<uint64_t> transaction{0};
  std::atomic<uint64_t> durable_transaction{0};
  std::atomic<uint64_t> snapshots{0};
  std::atomic<uint64_t> read_hits{0};
  std::atomic<uint64_t> read_misses{0};
  std::atomic<uint64_t> write_hits{0};
  std::atomic<uint64_t> write_misses{0};
  // Seconds since the epoch; 0: never (or, for dirty_since, nothing is dirty).
  std::atomic<double> last_commit_seconds{0};
  std::atomic<double> last_check_seconds{0};
  std::atomic<double> dirty_since_seconds{0};
  std::atomic<double> opened_seconds{0};
};

// Counts in checksum_errors if `status` says that a block's checksum or location was wrong.  To be called where such an
// error is answered or passed over, so that each failed check counts once.
void CountFailedCheck(const absl::Status& status, CacheCounters& counters);

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_COUNTERS_H_
