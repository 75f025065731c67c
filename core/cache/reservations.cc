#include "core/cache/reservations.h"

#include <utility>

#include "core/base/check.h"

namespace dmcached {

void Reservations::Add(uint64_t id, uint64_t incarnation, std::span<const uint32_t> cblocks, Duration expires) {
  Held held{incarnation, expires, {cblocks.begin(), cblocks.end()}, cblocks.size()};
  const bool fresh = reservations_.emplace(id, std::move(held)).second;
  DMCACHED_CHECK(fresh);
  for (const uint32_t cblock : cblocks) {
    // A cblock whose last holder's time is over belongs to the new one from here on.
    if (const auto stale = holders_.find(cblock); stale != holders_.end()) Drop(stale);
    holders_.emplace(cblock, id);
  }
}

bool Reservations::IsValid(uint64_t id, uint64_t incarnation, Duration now) const {
  const auto found = reservations_.find(id);
  return found != reservations_.end() && found->second.incarnation == incarnation && found->second.expires > now;
}

bool Reservations::HeldBy(uint64_t id, Cblock cblock, Duration now) const {
  const auto holder = holders_.find(cblock.value());
  return holder != holders_.end() && holder->second == id && IsHeld(cblock, now);
}

bool Reservations::IsHeld(Cblock cblock, Duration now) const {
  const auto holder = holders_.find(cblock.value());
  if (holder == holders_.end()) return false;
  const auto reservation = reservations_.find(holder->second);
  DMCACHED_CHECK(reservation != reservations_.end());
  return reservation->second.expires > now;
}

void Reservations::Consume(std::span<const uint32_t> cblocks) {
  if (holders_.empty()) return;
  for (const uint32_t cblock : cblocks) {
    if (const auto holder = holders_.find(cblock); holder != holders_.end()) Drop(holder);
  }
}

std::optional<uint32_t> Reservations::Release(uint64_t id, Duration now) {
  const auto found = reservations_.find(id);
  if (found == reservations_.end() || found->second.expires <= now) return std::nullopt;
  const size_t before = holders_.size();
  Erase(found);
  return static_cast<uint32_t>(before - holders_.size());
}

void Reservations::Expire(Duration now) {
  for (auto next = reservations_.begin(); next != reservations_.end();) {
    const auto reservation = next++;
    if (reservation->second.expires <= now) Erase(reservation);
  }
}

void Reservations::DropFrom(Cblock cache_blocks) {
  for (auto next = holders_.begin(); next != holders_.end();) {
    const auto holder = next++;
    if (holder->first >= cache_blocks.value()) Drop(holder);
  }
}

void Reservations::DropAll() {
  reservations_.clear();
  holders_.clear();
}

void Reservations::Drop(absl::flat_hash_map<uint32_t, uint64_t>::iterator holder) {
  const auto reservation = reservations_.find(holder->second);
  DMCACHED_CHECK(reservation != reservations_.end());
  holders_.erase(holder);
  if (--reservation->second.left == 0) reservations_.erase(reservation);
}

void Reservations::Erase(absl::flat_hash_map<uint64_t, Held>::iterator reservation) {
  // Not through Drop, which would forget the reservation before its last cblock is looked at.
  for (const uint32_t cblock : reservation->second.cblocks) {
    const auto holder = holders_.find(cblock);
    if (holder != holders_.end() && holder->second == reservation->first) holders_.erase(holder);
  }
  reservations_.erase(reservation);
}

}  // namespace dmcached
