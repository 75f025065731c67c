#include "core/maintenance/finding.h"

#include <iterator>

#include "core/base/check.h"

namespace dmcached {

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kRepairable:
      return "repairable";
    case Severity::kFatal:
      return "fatal";
  }
  DMCACHED_UNREACHABLE("unknown severity");
}

const char* FindingKindName(FindingKind kind) {
  static constexpr const char* kNames[] = {
      "superblock_damaged",   "superblock_version",   "superblock_field",
      "needs_check_set",      "space_map_root",       "space_map_index_damaged",
      "bitmap_damaged",       "overflow_tree",        "used_block_free",
      "reference_count",      "leaked_block",         "allocated_count",
      "free_count",           "first_free",           "free_count_style",
      "unused_index_entries", "bits_past_end",        "reference_out_of_range",
      "block_used_twice",     "index_node_damaged",   "index_node_underfull",
      "array_missing",        "array_block_missing",  "array_block_damaged",
      "array_block_short",    "array_surplus",        "mapping_flags",
      "oblock_twice",         "oblock_beyond_origin", "dirty_unmapped",
      "hint_array_empty",     "hint_array_length",    "hint_size",
      "discard_geometry",
  };
  static_assert(std::size(kNames) == kFindingKinds);
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace dmcached
