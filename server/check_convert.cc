#include "server/check_convert.h"

#include "core/base/check.h"
#include "server/status_util.h"

namespace dmcached {
namespace {

constexpr size_t kMaxMessageTextBytes = 1024;

v1::CheckSeverity ToSeverity(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return v1::CHECK_SEVERITY_NOTE;
    case Severity::kRepairable:
      return v1::CHECK_SEVERITY_REPAIRABLE;
    case Severity::kFatal:
      return v1::CHECK_SEVERITY_FATAL;
  }
  DMCACHED_UNREACHABLE("unknown severity");
}

}  // namespace

void FillFinding(const Finding& finding, v1::CheckFinding* message) {
  message->set_kind(FindingKindName(finding.kind));
  message->set_severity(ToSeverity(finding.severity));
  if (finding.block.has_value()) message->set_block(finding.block->value());
  if (finding.cblocks.has_value()) {
    message->mutable_cblocks()->set_begin(finding.cblocks->begin.value());
    message->mutable_cblocks()->set_end(finding.cblocks->end.value());
  }
  message->set_mapping_count(finding.mappings);
  message->set_dirty_count(finding.dirty);
  message->set_place_count(finding.count);
  // A path in it may be anything.
  message->set_message(CutText(finding.message, kMaxMessageTextBytes));
}

void FillSummary(const CheckResult& result, v1::CheckSummary* message) {
  const CheckSummary& summary = result.outcome.summary;
  message->set_note_count(summary.count(Severity::kNote));
  message->set_repairable_count(summary.count(Severity::kRepairable));
  message->set_fatal_count(summary.count(Severity::kFatal));
  message->set_cache_blocks(summary.cache_blocks);
  message->set_mapped_count(summary.mapped);
  message->set_dirty_count(summary.dirty);
  message->set_metadata_block_count(summary.metadata_blocks);
  message->set_read_block_count(summary.blocks_read);
  message->set_used_block_count(summary.used);
  message->set_leaked_block_count(summary.leaked);
  message->set_clean_shutdown(summary.clean_shutdown);
  message->set_needs_check(summary.needs_check);
  message->set_needs_check_cleared(result.outcome.needs_check_cleared);
  message->set_transaction(result.transaction);
  message->set_incarnation(result.incarnation);
}

}  // namespace dmcached
