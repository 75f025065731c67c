// What a check of metadata takes and gives.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_CHECK_TYPES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_CHECK_TYPES_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "dmcached/basic_types.h"

namespace dmcached::client {

struct CheckRequest {
  std::string cache = {};          // Either an open cache ...
  std::string metadata_path = {};  // ... or a path on the daemon's host that is not open.
  bool clear_needs_check = false;  // If nothing worse than a note is found.
};

enum class CheckSeverity { kUnknown, kNote, kRepairable, kFatal };

struct CheckFinding {
  std::string kind = {};  // For example "leaked_block".
  CheckSeverity severity = CheckSeverity::kUnknown;
  std::optional<uint64_t> block = {};      // Metadata block; the first, if there are several.
  std::optional<BlockRange> cblocks = {};  // Affected.
  uint64_t mappings = 0;                   // Among `cblocks`; those that cannot be read count.
  uint64_t dirty = 0;                      // Those of them that are dirty or may be.
  uint64_t places = 1;                     // Neighbours that this finding stands for.
  std::string message = {};                // One sentence.
};

struct CheckSummary {
  uint64_t notes = 0;
  uint64_t repairable = 0;
  uint64_t fatal = 0;
  uint32_t cache_blocks = 0;
  uint64_t mapped = 0;  // That could be read.
  uint64_t dirty = 0;   // Of them, what must be assumed.
  uint64_t metadata_blocks = 0;
  uint64_t read_blocks = 0;
  uint64_t used_blocks = 0;
  uint64_t leaked_blocks = 0;
  bool clean_shutdown = false;
  bool needs_check = false;  // As it was found.
  bool needs_check_cleared = false;
  uint64_t transaction = 0;  // 0: of a path.
};

// Called by the thread that called Check, as things come.  Null: not wanted.
struct CheckCallbacks {
  std::function<void(uint64_t done_blocks, uint64_t total_blocks)> on_progress = {};
  std::function<void(const CheckFinding& finding)> on_finding = {};
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_CHECK_TYPES_H_
