// Checks a whole metadata image: everything that the superblock leads to, and every rule of a consistent image.
//
// Nothing on the device is trusted: locations, counts and depths are checked before use, no block is walked twice, and
// damage ends nothing but what lies behind it.  Memory: 8 MiB, a byte per metadata block, half a byte per cblock,
// and 6 bytes per mapping with a fiftieth of that for tables.  Findings come in an order that does not depend on the
// executor. Source: core/README.md, section on checking; the rules, core/format/README.md.
#ifndef DMCACHED_CORE_MAINTENANCE_CHECKER_H_
#define DMCACHED_CORE_MAINTENANCE_CHECKER_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/executor.h"
#include "core/format/superblock.h"
#include "core/maintenance/check_source.h"
#include "core/maintenance/finding.h"

namespace dmcached {

class CheckSink {  // Called from the thread that checks.
 public:
  virtual ~CheckSink() = default;

  // `done` of about `total` blocks have been read; `done` never falls.
  virtual void OnProgress(uint64_t done, uint64_t total) = 0;
  virtual void OnFinding(const Finding& finding) = 0;
};

struct CheckSummary {
  std::array<uint64_t, kSeverities> findings{};  // By severity; a merged finding counts once.
  uint32_t cache_blocks = 0;
  uint64_t mapped = 0;  // That could be read.
  uint64_t dirty = 0;   // Of them, what must be assumed: all, unless the shutdown was clean.
  uint64_t metadata_blocks = 0;
  uint64_t blocks_read = 0;
  uint64_t used = 0;    // In the space map.
  uint64_t leaked = 0;  // Of them, those that nothing leads to.
  bool clean_shutdown = false;
  bool needs_check = false;

  uint64_t count(Severity severity) const { return findings[static_cast<size_t>(severity)]; }
  // Nothing above a note.
  bool sound() const { return count(Severity::kRepairable) == 0 && count(Severity::kFatal) == 0; }
};

struct CheckOptions {
  // The state to check, if block 0 may already be that of a later one.
  std::optional<Superblock> superblock;
  Executor* executor = nullptr;  // Helps to read; outlives the check.
};

// Blocks until all is read.  Errors: kFailedPrecondition (NOT_FORMATTED); those of CheckSource::Interrupted.  Damage
// and failed reads are findings.
absl::StatusOr<CheckSummary> CheckMetadata(CheckSource& source, const CheckOptions& options, CheckSink& sink);

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_CHECKER_H_
