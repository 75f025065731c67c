#include "tests/crash/crash_medium.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/ids.h"

namespace dmcached {

CrashMedium::CrashMedium(std::vector<std::byte> image) : image_(std::move(image)) {
  for (uint64_t sector = 0; sector < image_.size() / kSectorBytes; ++sector) hash_ ^= HashOf(sector);
}

uint64_t CrashMedium::HashOf(uint64_t sector) const {
  uint64_t hash = (sector + 1) * 0x9E3779B97F4A7C15u;
  for (size_t i = 0; i < kSectorBytes; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, image_.data() + sector * kSectorBytes + i, sizeof(word));
    hash = (hash ^ word) * 0xD6E8FEB86659FD93u;
    hash ^= hash >> 32;
  }
  return hash;
}

void CrashMedium::WriteSector(uint64_t sector, const std::byte* bytes) {
  hash_ ^= HashOf(sector);
  std::memcpy(image_.data() + sector * kSectorBytes, bytes, kSectorBytes);
  hash_ ^= HashOf(sector);
}

void CrashMedium::Take(const IoEvent& event) {
  switch (event.kind) {
    case IoEvent::Kind::kWrite:
      pending_.push_back({.first_sector = event.offset_bytes / kSectorBytes,
                          .data = event.data,
                          .doubtful = !event.ok,
                          .superseded = std::vector<bool>(event.data.size() / kSectorBytes)});
      return;
    case IoEvent::Kind::kFlush:
      if (event.ok) return Flush();
      for (Pending& write : pending_) write.doubtful = true;
      return;
    case IoEvent::Kind::kPowerCut:
      *this = CrashMedium(event.data);
  }
}

void CrashMedium::Flush() {
  std::vector<Pending> doubtful;
  for (Pending& write : pending_) {
    if (write.doubtful) {
      doubtful.push_back(std::move(write));
      continue;
    }
    const uint64_t end = write.first_sector + write.superseded.size();
    for (uint64_t sector = write.first_sector; sector < end; ++sector) {
      WriteSector(sector, write.data.data() + (sector - write.first_sector) * kSectorBytes);
      for (Pending& earlier : doubtful) {
        const uint64_t at = sector - earlier.first_sector;
        if (sector >= earlier.first_sector && at < earlier.superseded.size()) earlier.superseded[at] = true;
      }
    }
  }
  pending_ = std::move(doubtful);
}

void CrashMedium::Survive(const std::function<bool(size_t write, size_t sector)>& survives) {
  for (size_t write = 0; write < pending_.size(); ++write) {
    const Pending& pending = pending_[write];
    for (size_t i = 0; i < pending.superseded.size(); ++i) {
      if (pending.superseded[i] || !survives(write, i)) continue;
      const uint64_t sector = pending.first_sector + i;
      const std::byte* old = image_.data() + sector * kSectorBytes;
      undo_.push_back({sector, {old, old + kSectorBytes}});
      WriteSector(sector, pending.data.data() + i * kSectorBytes);
    }
  }
}

void CrashMedium::Undo() {
  for (; !undo_.empty(); undo_.pop_back()) WriteSector(undo_.back().sector, undo_.back().bytes.data());
}

}  // namespace dmcached
