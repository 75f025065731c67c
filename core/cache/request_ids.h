// What became of the latest mutations, by the ids that their callers gave them: a repeat gets the first answer.
//
// Only what was applied is remembered, and for how long it is parked; a refusal means that nothing happened, so its
// repeat is judged anew.  Source: API contract, proto/dmcached/v1/common.proto (MutationOptions.request_id).
#ifndef DMCACHED_CORE_CACHE_REQUEST_IDS_H_
#define DMCACHED_CORE_CACHE_REQUEST_IDS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "core/base/clock.h"
#include "core/cache/fingerprint.h"
#include "core/cache/mutation.h"

namespace dmcached {

inline constexpr size_t kRememberedIds = 4096;
inline constexpr Duration kRememberedTime = std::chrono::minutes(5);
inline constexpr size_t kRememberedBytes = size_t{64} << 20;

class RequestIds {  // Not thread-safe: guarded by the mutex of its cache.
 public:
  struct Entry {
    Fingerprint fingerprint;
    bool parked = false;    // Not applied yet; `result` means nothing.
    MutationResult result;  // Its transaction is 0 once it is durable for good.
    // The transaction that an answer "when applied" waits for; 0: none.
    uint64_t answer_at = 0;
    Duration since{0};
    uint64_t order = 0;
  };

  // Null: unknown.
  const Entry* Find(const std::string& id) const;
  // `id` waits before it is applied: a repeat must wait behind it.
  void Park(const std::string& id, const Fingerprint& fingerprint, Duration now);
  // `id` was applied.
  void Remember(const std::string& id, const Fingerprint& fingerprint, const MutationResult& result, uint64_t answer_at,
                Duration now);
  void Forget(const std::string& id);
  // The cache failed: what was applied after `durable`, and what is parked, is forgotten; the rest is durable for good.
  void Lose(uint64_t durable);
  // Forgets the oldest ids: those beyond 4096 that are older than 5 minutes, and whatever exceeds 64 MiB.
  void Trim(Duration now);

  size_t size() const { return entries_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  // In order of arrival; stale when the entry is gone or has another order.
  struct Arrival {
    std::string id;
    uint64_t order;
  };

  static size_t BytesOf(const std::string& id);
  void Put(const std::string& id, Entry entry);
  bool IsStale(const Arrival& arrival) const;

  absl::flat_hash_map<std::string, Entry> entries_;
  std::deque<Arrival> arrivals_;
  uint64_t next_order_ = 0;
  size_t bytes_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_REQUEST_IDS_H_
