#include "core/cache/acknowledgement.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "core/base/status.h"

namespace dmcached {
namespace {

struct Row {
  DirtyTracking tracking;

  bool operator()(const InsertMappings& insert) const {
    return std::any_of(insert.dirty.begin(), insert.dirty.end(), [](bool dirty) { return dirty; });
  }
  bool operator()(const MarkDirty&) const { return tracking == DirtyTracking::kExact; }
  bool operator()(const RemoveMappings&) const { return true; }
  bool operator()(const ClearDiscards&) const { return true; }
  bool operator()(const BeginHints&) const { return true; }
  bool operator()(const Resize&) const { return true; }
  bool operator()(const ClearDirty&) const { return false; }
  bool operator()(const SetDiscards&) const { return false; }
  bool operator()(const SaveHints&) const { return false; }
  bool operator()(const SetStats&) const { return false; }
};

}  // namespace

bool IsAnsweredWhenDurable(const Mutation& mutation, DirtyTracking tracking) {
  return std::visit(Row{tracking}, mutation);
}

bool StatesFact(const absl::Status& refusal) {
  const std::optional<Reason> reason = ReasonOf(refusal);
  return reason == Reason::kNotMapped || reason == Reason::kCblockInUse || reason == Reason::kOblockAlreadyMapped ||
         reason == Reason::kMappingDirty || reason == Reason::kDirtyBlocks;
}

}  // namespace dmcached
