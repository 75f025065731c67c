#include "core/maintenance/finding_collector.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dmcached {
namespace {

// What the merged places have in common is said after the sentence about the first.
std::string Completed(const Finding& finding) {
  if (finding.count == 1) return finding.message;
  std::string text = absl::StrCat(finding.message, "; ", finding.count, " of this kind");
  if (finding.cblocks.has_value()) {
    absl::StrAppend(&text, " in cblocks ", finding.cblocks->begin.value(), " to ", finding.cblocks->end.value() - 1);
  } else if (finding.block.has_value()) {
    absl::StrAppend(&text, " from block ", finding.block->value(), " on");
  }
  return text;
}

}  // namespace

bool FindingCollector::Touch(const Finding& last, const Finding& next) {
  if (last.severity != next.severity || last.cblocks.has_value() != next.cblocks.has_value()) return false;
  if (last.cblocks.has_value()) {
    return next.cblocks->begin >= last.cblocks->begin && next.cblocks->begin <= last.cblocks->end;
  }
  return last.block.has_value() && next.block.has_value() && next.block->value() == last.block->value() + last.count;
}

void FindingCollector::Add(Finding finding) {
  const size_t array = finding.array.has_value() ? static_cast<size_t>(*finding.array) + 1 : 0;
  Group& group = groups_[static_cast<size_t>(finding.kind) * (kArrayKinds + 1) + array];
  Finding* last = group.open ? &findings_[group.last] : nullptr;
  if (last != nullptr && (group.findings >= kMaxPerKind || Touch(*last, finding))) {
    last->severity = std::max(last->severity, finding.severity);
    last->count += finding.count;
    if (finding.cblocks.has_value()) {
      if (!last->cblocks.has_value()) last->cblocks = finding.cblocks;
      last->cblocks->begin = std::min(last->cblocks->begin, finding.cblocks->begin);
      last->cblocks->end = std::max(last->cblocks->end, finding.cblocks->end);
    }
    return;
  }
  ++group.findings;
  group.last = findings_.size();
  group.open = true;
  findings_.push_back(std::move(finding));
}

std::vector<Finding> FindingCollector::Take() {
  std::vector<Finding> taken = std::exchange(findings_, {});
  for (Group& group : groups_) group.open = false;
  for (Finding& finding : taken) finding.message = Completed(finding);
  return taken;
}

}  // namespace dmcached
