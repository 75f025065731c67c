// Callbacks that wait until a transaction is durable.
#ifndef DMCACHED_CORE_CACHE_WAITERS_H_
#define DMCACHED_CORE_CACHE_WAITERS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cache/answers.h"
#include "core/cache/engine.h"

namespace dmcached {

// Gets the durable transaction, or why it will never be durable.
using DurableCallback = Callback<absl::StatusOr<uint64_t>>;

class Waiters {  // Not thread-safe: guarded by the mutex of its cache.
 public:
  void Add(uint64_t transaction, DurableCallback done) { waiting_[transaction].push_back(std::move(done)); }
  // Answers everyone who waits for `transaction` or an earlier one, in the order of transactions, then of arrival;
  // returns how many.
  size_t Settle(uint64_t transaction, const absl::StatusOr<uint64_t>& outcome, Answers& answers);
  // Takes away those who wait for `transaction` or an earlier one.
  Waiters TakeThrough(uint64_t transaction);
  // Answers everyone.
  void SettleAll(const absl::Status& why, Answers& answers);
  bool empty() const { return waiting_.empty(); }
  size_t size() const;

 private:
  std::map<uint64_t, std::vector<DurableCallback>> waiting_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_WAITERS_H_
