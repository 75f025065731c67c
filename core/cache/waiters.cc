#include "core/cache/waiters.h"

#include <limits>
#include <utility>

namespace dmcached {

size_t Waiters::Settle(uint64_t transaction, const absl::StatusOr<uint64_t>& outcome, Answers& answers) {
  size_t settled = 0;
  while (!waiting_.empty() && waiting_.begin()->first <= transaction) {
    settled += waiting_.begin()->second.size();
    for (DurableCallback& done : waiting_.begin()->second) answers.Add(std::move(done), outcome);
    waiting_.erase(waiting_.begin());
  }
  return settled;
}

size_t Waiters::size() const {
  size_t size = 0;
  for (const auto& [transaction, callbacks] : waiting_) size += callbacks.size();
  return size;
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
