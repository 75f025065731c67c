#include "core/cache/request_ids.h"

#include <utility>

namespace dmcached {

const RequestIds::Entry* RequestIds::Find(const std::string& id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : &found->second;
}

void RequestIds::Park(const std::string& id, const Fingerprint& fingerprint, Duration now) {
  Put(id, {.fingerprint = fingerprint, .parked = true, .result = {}, .since = now});
}

void RequestIds::Remember(const std::string& id, const Fingerprint& fingerprint, const MutationResult& result,
                          uint64_t answer_at, Duration now) {
  Put(id, {.fingerprint = fingerprint, .parked = false, .result = result, .answer_at = answer_at, .since = now});
  Trim(now);
}

void RequestIds::Forget(const std::string& id) {
  if (entries_.erase(id) != 0) bytes_ -= BytesOf(id);
}

void RequestIds::Lose(uint64_t durable) {
  for (auto next = entries_.begin(); next != entries_.end();) {
    const auto entry = next++;
    if (entry->second.parked || entry->second.result.transaction > durable) {
      bytes_ -= BytesOf(entry->first);
      entries_.erase(entry);
    } else {
      // Transactions count from the start again after a recovery.
      entry->second.result.transaction = 0;
      entry->second.answer_at = 0;
    }
  }
}

void RequestIds::Trim(Duration now) {
  while (!arrivals_.empty()) {
    const Arrival& oldest = arrivals_.front();
    if (!IsStale(oldest)) {
      const Entry& entry = entries_.find(oldest.id)->second;
      const bool old = entries_.size() > kRememberedIds && now - entry.since > kRememberedTime;
      if (entry.parked || (!old && bytes_ <= kRememberedBytes)) return;
      Forget(oldest.id);
    }
    arrivals_.pop_front();
  }
}

// The id is kept twice; the rest is what hash table and deque cost about.
size_t RequestIds::BytesOf(const std::string& id) { return sizeof(Entry) + sizeof(Arrival) + 48 + 2 * id.size(); }

void RequestIds::Put(const std::string& id, Entry entry) {
  entry.order = next_order_++;
  arrivals_.push_back({id, entry.order});
  if (entries_.insert_or_assign(id, std::move(entry)).second) bytes_ += BytesOf(id);
}

bool RequestIds::IsStale(const Arrival& arrival) const {
  const Entry* entry = Find(arrival.id);
  return entry == nullptr || entry->order != arrival.order;
}

}  // namespace dmcached
