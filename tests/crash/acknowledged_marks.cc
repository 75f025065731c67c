#include "tests/crash/acknowledged_marks.h"

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace dmcached {
namespace {

std::vector<uint32_t> MarkedBy(const Mutation& mutation) {
  if (const auto* mark = std::get_if<MarkDirty>(&mutation)) return {mark->cblocks.begin(), mark->cblocks.end()};
  std::vector<uint32_t> cblocks;
  if (const auto* insert = std::get_if<InsertMappings>(&mutation)) {
    for (size_t i = 0; i < insert->dirty.size(); ++i) {
      if (insert->dirty[i]) cblocks.push_back(insert->cblocks[i]);
    }
  }
  return cblocks;
}

}  // namespace

void AcknowledgedMarks::Sent(uint64_t number, const Mutation& mutation) {
  if (!MarkedBy(mutation).empty()) beside_[number] = outstanding_;
  Touch touch;
  if (const auto* clear = std::get_if<ClearDirty>(&mutation)) {
    touch.cblocks.insert(clear->cblocks.begin(), clear->cblocks.end());
  } else if (const auto* remove = std::get_if<RemoveMappings>(&mutation)) {
    touch.cblocks.insert(remove->cblocks.begin(), remove->cblocks.end());
    touch.any = remove->oblock_range.has_value();
  } else if (const auto* resize = std::get_if<Resize>(&mutation)) {
    touch.any = resize->cache_blocks.has_value();
  }
  if (!touch.any && touch.cblocks.empty()) return;
  // Boundaries that were recorded before keep their set.
  marked_ = touch.any ? std::make_shared<MarkedCblocks>() : std::make_shared<MarkedCblocks>(*marked_);
  if (touch.any) all_touched_ = number;
  for (const uint32_t cblock : touch.cblocks) {
    marked_->erase(cblock);
    touched_[cblock] = number;
  }
  outstanding_[number] = std::move(touch);
}

bool AcknowledgedMarks::MayBeTouchedSince(uint64_t number, uint32_t cblock) const {
  const auto touched = touched_.find(cblock);
  if (all_touched_ > number || (touched != touched_.end() && touched->second > number)) return true;
  return std::any_of(beside_.at(number).begin(), beside_.at(number).end(),
                     [&](const auto& entry) { return entry.second.any || entry.second.cblocks.contains(cblock); });
}

void AcknowledgedMarks::Acknowledged(uint64_t number, const Mutation& mutation) {
  const std::vector<uint32_t> cblocks = MarkedBy(mutation);
  if (cblocks.empty()) return;
  marked_ = std::make_shared<MarkedCblocks>(*marked_);
  for (const uint32_t cblock : cblocks) {
    if (!MayBeTouchedSince(number, cblock)) marked_->insert(cblock);
  }
}

}  // namespace dmcached
