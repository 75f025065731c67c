#include "core/base/status.h"

#include <array>
#include <cerrno>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/check.h"

namespace dmcached {
namespace {

// Payloads of an absl::Status are found by URL; these never leave the process.
constexpr absl::string_view kReasonUrl = "dmcached/reason";
constexpr absl::string_view kCauseUrl = "dmcached/cause";
constexpr absl::string_view kItemUrl = "dmcached/item";

struct ReasonRow {
  Reason reason;
  absl::string_view name;
  absl::StatusCode code;
  int cause;
};

using Code = absl::StatusCode;

constexpr ReasonRow kReasons[] = {
    {Reason::kCacheNotOpen, "CACHE_NOT_OPEN", Code::kNotFound, ENODATA},
    {Reason::kCacheExists, "CACHE_EXISTS", Code::kAlreadyExists, EEXIST},
    {Reason::kDeviceInUse, "DEVICE_IN_USE", Code::kFailedPrecondition, EBUSY},
    {Reason::kDeviceNotFound, "DEVICE_NOT_FOUND", Code::kNotFound, ENOENT},
    {Reason::kNotFormatted, "NOT_FORMATTED", Code::kFailedPrecondition, EPERM},
    {Reason::kNotEmpty, "NOT_EMPTY", Code::kFailedPrecondition, EPERM},
    {Reason::kMetadataCorrupt, "METADATA_CORRUPT", Code::kDataLoss, EUCLEAN},
    {Reason::kUnsupportedVersion, "UNSUPPORTED_VERSION", Code::kFailedPrecondition, EINVAL},
    {Reason::kUnsupportedFeature, "UNSUPPORTED_FEATURE", Code::kFailedPrecondition, EINVAL},
    {Reason::kNeedsCheck, "NEEDS_CHECK", Code::kFailedPrecondition, EPERM},
    {Reason::kReadOnly, "READ_ONLY", Code::kFailedPrecondition, EROFS},
    {Reason::kCacheFailed, "CACHE_FAILED", Code::kFailedPrecondition, EPERM},
    {Reason::kCblockOutOfRange, "CBLOCK_OUT_OF_RANGE", Code::kOutOfRange, ERANGE},
    {Reason::kOblockOutOfRange, "OBLOCK_OUT_OF_RANGE", Code::kOutOfRange, ERANGE},
    {Reason::kDblockOutOfRange, "DBLOCK_OUT_OF_RANGE", Code::kOutOfRange, ERANGE},
    {Reason::kCblockInUse, "CBLOCK_IN_USE", Code::kAlreadyExists, EEXIST},
    {Reason::kOblockAlreadyMapped, "OBLOCK_ALREADY_MAPPED", Code::kAlreadyExists, EEXIST},
    {Reason::kNotMapped, "NOT_MAPPED", Code::kFailedPrecondition, ENODATA},
    {Reason::kMappingDirty, "MAPPING_DIRTY", Code::kFailedPrecondition, EBUSY},
    {Reason::kDirtyBlocks, "DIRTY_BLOCKS", Code::kFailedPrecondition, EBUSY},
    {Reason::kNoHints, "NO_HINTS", Code::kFailedPrecondition, ENODATA},
    {Reason::kMetadataNoSpace, "METADATA_NO_SPACE", Code::kResourceExhausted, ENOSPC},
    {Reason::kRevisionMismatch, "REVISION_MISMATCH", Code::kAborted, ESTALE},
    {Reason::kIncarnationChanged, "INCARNATION_CHANGED", Code::kAborted, ESTALE},
    {Reason::kRequestIdReused, "REQUEST_ID_REUSED", Code::kInvalidArgument, EINVAL},
    {Reason::kIdentityMismatch, "IDENTITY_MISMATCH", Code::kFailedPrecondition, EPERM},
    {Reason::kGeometryMismatch, "GEOMETRY_MISMATCH", Code::kFailedPrecondition, EINVAL},
    {Reason::kPolicyInvalid, "POLICY_INVALID", Code::kInvalidArgument, EINVAL},
    {Reason::kOperationPending, "OPERATION_PENDING", Code::kFailedPrecondition, EBUSY},
    {Reason::kOverloaded, "OVERLOADED", Code::kUnavailable, EAGAIN},
    {Reason::kOutcomeUnknown, "OUTCOME_UNKNOWN", Code::kUnknown, EIO},
    {Reason::kLost, "LOST", Code::kAborted, ECANCELED},
    {Reason::kSnapshotRevoked, "SNAPSHOT_REVOKED", Code::kAborted, ESTALE},
    {Reason::kTooManyBlocks, "TOO_MANY_BLOCKS", Code::kResourceExhausted, E2BIG},
    {Reason::kTooManyItems, "TOO_MANY_ITEMS", Code::kResourceExhausted, E2BIG},
    {Reason::kInvalidRequest, "INVALID_REQUEST", Code::kInvalidArgument, EINVAL},
    {Reason::kIoError, "IO_ERROR", Code::kInternal, EIO},
    {Reason::kNoFreeCblocks, "NO_FREE_CBLOCKS", Code::kResourceExhausted, ENOSPC},
    {Reason::kReservationExpired, "RESERVATION_EXPIRED", Code::kAborted, ESTALE},
    {Reason::kReserveHoldoff, "RESERVE_HOLDOFF", Code::kUnavailable, EAGAIN},
    {Reason::kRoleTooLow, "ROLE_TOO_LOW", Code::kPermissionDenied, EACCES},
    {Reason::kPathNotAllowed, "PATH_NOT_ALLOWED", Code::kPermissionDenied, EACCES},
    {Reason::kShuttingDown, "SHUTTING_DOWN", Code::kUnavailable, ESHUTDOWN},
};

constexpr bool RowsFollowTheEnum() {
  for (size_t i = 0; i < std::size(kReasons); ++i) {
    if (static_cast<size_t>(kReasons[i].reason) != i) return false;
  }
  return true;
}
static_assert(RowsFollowTheEnum() && kReasons[std::size(kReasons) - 1].reason == Reason::kShuttingDown,
              "a reason is looked up by its number");

const ReasonRow& RowOf(Reason reason) {
  const auto index = static_cast<size_t>(reason);
  DMCACHED_CHECK(index < std::size(kReasons));
  return kReasons[index];
}

template <typename Number>
std::optional<Number> NumberPayload(const absl::Status& status, absl::string_view url) {
  const absl::optional<absl::Cord> payload = status.GetPayload(url);
  Number value = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &value)) return std::nullopt;
  return value;
}

}  // namespace

absl::string_view ReasonName(Reason reason) { return RowOf(reason).name; }
absl::StatusCode ReasonCode(Reason reason) { return RowOf(reason).code; }
int ReasonCause(Reason reason) { return RowOf(reason).cause; }

absl::Status MakeError(Reason reason, absl::string_view message, int cause) {
  const ReasonRow& row = RowOf(reason);
  absl::Status status(row.code, message);
  status.SetPayload(kReasonUrl, absl::Cord(row.name));
  status.SetPayload(kCauseUrl, absl::Cord(absl::StrCat(cause == 0 ? row.cause : cause)));
  return status;
}

absl::Status MakeItemError(Reason reason, uint64_t item, absl::string_view message) {
  absl::Status status = MakeError(reason, message);
  status.SetPayload(kItemUrl, absl::Cord(absl::StrCat(item)));
  return status;
}

absl::Status WithContext(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status result(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&result](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

std::optional<Reason> ReasonOf(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kReasonUrl);
  if (!payload.has_value()) return std::nullopt;
  for (const ReasonRow& row : kReasons) {
    if (*payload == row.name) return row.reason;
  }
  return std::nullopt;
}

int CauseOf(const absl::Status& status) { return NumberPayload<int>(status, kCauseUrl).value_or(0); }

std::optional<uint64_t> ItemOf(const absl::Status& status) { return NumberPayload<uint64_t>(status, kItemUrl); }

}  // namespace dmcached
