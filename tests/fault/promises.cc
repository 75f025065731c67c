#include "tests/fault/promises.h"

#include "absl/strings/str_cat.h"

namespace dmcached {

void Promises::Inserting(uint32_t begin, uint32_t end) {
  for (uint32_t cblock = begin; cblock < end; ++cblock) cblocks_[cblock] = State::kUnknown;
}

void Promises::Inserted(uint32_t begin, uint32_t end, bool dirty, bool durable) {
  for (uint32_t cblock = begin; cblock < end; ++cblock) {
    if (durable) {
      cblocks_[cblock] = State::kMapped;
    } else {
      applied_.insert(cblock);
    }
  }
  if (dirty) Marked(begin, end);
}

void Promises::Marked(uint32_t begin, uint32_t end) {
  for (uint32_t cblock = begin; cblock < end; ++cblock) dirty_.insert(cblock);
}

void Promises::Removing(uint32_t begin, uint32_t end) {
  for (uint32_t cblock = begin; cblock < end; ++cblock) {
    cblocks_[cblock] = State::kUnknown;
    applied_.erase(cblock);
    dirty_.erase(cblock);
  }
}

void Promises::Removed(uint32_t begin, uint32_t end) {
  for (uint32_t cblock = begin; cblock < end; ++cblock) cblocks_[cblock] = State::kUnmapped;
}

void Promises::SettingDiscards(uint64_t begin, uint64_t end) {
  for (uint64_t dblock = begin; dblock < end; ++dblock) discarded_.insert(dblock);
}

void Promises::ClearedDiscards(uint64_t begin, uint64_t end) {
  for (uint64_t dblock = begin; dblock < end; ++dblock) discarded_.erase(dblock);
}

void Promises::Committed() {
  for (const uint32_t cblock : applied_) cblocks_[cblock] = State::kMapped;
  applied_.clear();
}

void Promises::Adopted() {
  for (const uint32_t cblock : mapped()) dirty_.insert(cblock);
  discarded_.clear();
}

std::set<uint32_t> Promises::mapped() const {
  std::set<uint32_t> mapped;
  for (const auto& [cblock, state] : cblocks_) {
    if (state == State::kMapped) mapped.insert(cblock);
  }
  return mapped;
}

std::vector<std::string> Promises::Broken(const CacheContents& found, bool all_dirty) const {
  std::vector<std::string> broken;
  for (const uint32_t cblock : mapped()) {
    if (!found.mappings.contains(cblock)) broken.push_back(absl::StrCat("acknowledged cblock ", cblock, " is lost"));
  }
  for (const auto& [cblock, to] : found.mappings) {
    const auto at = cblocks_.find(cblock);
    if (at == cblocks_.end() || at->second == State::kUnmapped || to.oblock != kOblockOffset + cblock) {
      broken.push_back(absl::StrCat("cblock ", cblock, " is mapped to oblock ", to.oblock));
    }
  }
  for (const uint32_t cblock : dirty_) {
    const auto at = found.mappings.find(cblock);
    if (at == found.mappings.end() || !(all_dirty || at->second.dirty)) {
      broken.push_back(absl::StrCat("acknowledged dirty cblock ", cblock, " is not"));
    }
  }
  for (uint64_t dblock = 0; dblock < found.discards.size(); ++dblock) {
    if (found.discards[dblock] && !discarded_.contains(dblock)) {
      broken.push_back(absl::StrCat("dblock ", dblock, " is discarded"));
    }
  }
  if (!cache_blocks_.contains(found.cache_blocks)) {
    broken.push_back(absl::StrCat(found.cache_blocks, " cache blocks"));
  }
  if (!policies_.contains(Policy{found.policy_name, found.policy_version})) {
    broken.push_back(absl::StrCat("policy ", found.policy_name, " ", found.policy_version[0]));
  }
  return broken;
}

}  // namespace dmcached
