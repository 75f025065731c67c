// Errors of the engine: an absl::Status whose reason, errno-like cause and first bad item travel as payloads.
//
// Every error is made by MakeError, so that reason, canonical code and cause always agree.
// Source: API.md section 5 (reasons and codes); Abseil's own errno table is wrong for this domain.
#ifndef DMCACHED_CORE_BASE_STATUS_H_
#define DMCACHED_CORE_BASE_STATUS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace dmcached {

enum class Reason {
  kCacheNotOpen,
  kCacheExists,
  kDeviceInUse,
  kDeviceNotFound,
  kNotFormatted,
  kNotEmpty,
  kMetadataCorrupt,
  kUnsupportedVersion,
  kUnsupportedFeature,
  kNeedsCheck,
  kReadOnly,
  kCacheFailed,
  kCblockOutOfRange,
  kOblockOutOfRange,
  kDblockOutOfRange,
  kCblockInUse,
  kOblockAlreadyMapped,
  kNotMapped,
  kMappingDirty,
  kDirtyBlocks,
  kNoHints,
  kMetadataNoSpace,
  kRevisionMismatch,
  kIncarnationChanged,
  kRequestIdReused,
  kIdentityMismatch,
  kGeometryMismatch,
  kPolicyInvalid,
  kOperationPending,
  kOverloaded,
  kOutcomeUnknown,
  kLost,
  kSnapshotRevoked,
  kTooManyBlocks,
  kTooManyItems,
  kInvalidRequest,
  kIoError,
  kNoFreeCblocks,
  kReservationExpired,
  kReserveHoldoff,
  kRoleTooLow,
  kPathNotAllowed,
  kShuttingDown,
};

// The reason as the API spells it, for example "CBLOCK_IN_USE".
absl::string_view ReasonName(Reason reason);
// The canonical code that goes with a reason.
absl::StatusCode ReasonCode(Reason reason);
// The errno that goes with a reason unless MakeError is told another one.
int ReasonCause(Reason reason);

// An error.  `message`: what was attempted, on which block, what was found.  `cause`: errno, 0 = the reason's own.
absl::Status MakeError(Reason reason, absl::string_view message, int cause = 0);
// The same, about item `item` (0-based) of a request.
absl::Status MakeItemError(Reason reason, uint64_t item, absl::string_view message);
// `status` with `context` and ": " put before its message; payloads are kept.  OK stays OK.
absl::Status WithContext(const absl::Status& status, absl::string_view context);

// Nothing for OK and for errors that MakeError did not make.
std::optional<Reason> ReasonOf(const absl::Status& status);
// 0 for OK and for errors that MakeError did not make.
int CauseOf(const absl::Status& status);
std::optional<uint64_t> ItemOf(const absl::Status& status);
inline bool HasReason(const absl::Status& status, Reason reason) { return ReasonOf(status) == reason; }

#define DMCACHED_RETURN_IF_ERROR(expression)                                  \
  do {                                                                        \
    if (absl::Status dmcached_status = (expression); !dmcached_status.ok()) { \
      return dmcached_status;                                                 \
    }                                                                         \
  } while (false)

#define DMCACHED_CONCAT_INNER(a, b) a##b
#define DMCACHED_CONCAT(a, b) DMCACHED_CONCAT_INNER(a, b)
#define DMCACHED_ASSIGN_OR_RETURN(lhs, expression) \
  DMCACHED_ASSIGN_OR_RETURN_INNER(DMCACHED_CONCAT(dmcached_statusor_, __LINE__), lhs, expression)
#define DMCACHED_ASSIGN_OR_RETURN_INNER(name, lhs, expression) \
  auto name = (expression);                                    \
  if (!name.ok()) {                                            \
    return std::move(name).status();                           \
  }                                                            \
  lhs = *std::move(name)

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_STATUS_H_
