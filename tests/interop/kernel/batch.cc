#include "tests/interop/kernel/batch.h"

#include <span>
#include <variant>

#include "core/base/check.h"

namespace dmcached {
namespace {

std::vector<client::BlockRange> ToRanges(std::span<const DblockRange> ranges) {
  std::vector<client::BlockRange> result;
  for (const DblockRange& range : ranges) result.push_back({.begin = range.begin.value(), .end = range.end.value()});
  return result;
}

}  // namespace

BatchOf::BatchOf(const Mutation& mutation) {
  if (const auto* insert = std::get_if<InsertMappings>(&mutation)) {
    dirty_.assign(insert->dirty.begin(), insert->dirty.end());
    batch_ = client::InsertBatch{.cblocks = insert->cblocks, .oblocks = insert->oblocks, .dirty = dirty_};
  } else if (const auto* remove = std::get_if<RemoveMappings>(&mutation)) {
    batch_ = client::RemoveBatch{
        .cblocks = remove->cblocks, .oblocks = remove->oblocks, .discard_dirty = remove->discard_dirty};
  } else if (const auto* mark = std::get_if<MarkDirty>(&mutation)) {
    batch_ = client::MarkDirtyBatch{.cblocks = mark->cblocks};
  } else if (const auto* clear = std::get_if<ClearDirty>(&mutation)) {
    batch_ = client::ClearDirtyBatch{.cblocks = clear->cblocks, .oblocks = clear->oblocks};
  } else if (const auto* set = std::get_if<SetDiscards>(&mutation)) {
    ranges_ = ToRanges(set->ranges);
    batch_ = client::SetDiscardsBatch{.ranges = ranges_, .discard_dirty = set->discard_dirty};
  } else if (const auto* unset = std::get_if<ClearDiscards>(&mutation)) {
    ranges_ = ToRanges(unset->ranges);
    batch_ = client::ClearDiscardsBatch{.ranges = ranges_};
  } else if (const auto* begin = std::get_if<BeginHints>(&mutation)) {
    const PolicyVersion& version = begin->policy_version;
    batch_ = client::BeginHintsBatch{
        .policy_name = begin->policy_name,
        .policy_version = {.major = version.major, .minor = version.minor, .patch = version.patch},
        .hint_size_bytes = begin->hint_size_bytes};
  } else if (const auto* save = std::get_if<SaveHints>(&mutation)) {
    batch_ = client::SaveHintsBatch{.cblocks = save->cblocks, .hints = save->hints};
  } else {
    DMCACHED_UNREACHABLE("this mutation is never sent as a batch");
  }
}

}  // namespace dmcached
