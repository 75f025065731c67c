#include "core/cache/waiters.h"

#include <limits>
#include <utility>

namespace dmcached {

void Waiters::Settle(uint64_t transaction, const absl::StatusOr<uint64_t>& outcome, Answers& answers) {
  while (!waiting_.empty() && waiting_.begin()->first <= transaction) {
    for (DurableCallback& done : waiting_.begin()->second) answers.Add(std::move(done), outcome);
    waiting_.erase(waiting_.begin());
  }
}

Waiters Waiters::TakeThrough(uint64_t transaction) {
  Waiters taken;
  while (!waiting_.empty() && waiting_.begin()->first <= transaction) {
    taken.waiting_.insert(waiting_.extract(waiting_.begin()));
  }
  return taken;
}

void Waiters::SettleAll(const absl::Status& why, Answers& answers) {
  Settle(std::numeric_limits<uint64_t>::max(), why, answers);
}

}  // namespace dmcached
