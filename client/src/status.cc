#include "dmcached/status.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/src/status_internal.h"
#include "dmcached/v1/error_details.pb.h"

namespace dmcached::client {
namespace {

constexpr char kPrefix[] = "dmcached/";
constexpr char kNeverSent[] = "never_sent";
constexpr char kEarlierCopy[] = "earlier_copy";

std::optional<uint64_t> NumberOf(const absl::Status& status, absl::string_view key) {
  const std::optional<std::string> text = DetailOf(status, key);
  uint64_t number = 0;
  if (!text || !absl::SimpleAtoi(*text, &number)) return std::nullopt;
  return number;
}

}  // namespace

void SetDetail(absl::Status& status, absl::string_view key, absl::string_view value) {
  status.SetPayload(absl::StrCat(kPrefix, key), absl::Cord(value));
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  v1::ErrorStatus details;
  if (!details.ParseFromString(status.error_details())) return result;
  for (const google::protobuf::Any& any : details.details()) {
    v1::ErrorInfo info;
    // Unpack would compare the type name of our twin; the bytes are google.rpc.ErrorInfo's.
    if (any.type_url() != "type.googleapis.com/google.rpc.ErrorInfo" || !info.ParseFromString(any.value())) continue;
    for (const auto& [key, value] : info.metadata()) SetDetail(result, key, value);
    SetDetail(result, "reason", info.reason());
  }
  return result;
}

absl::Status NeverSentError(absl::string_view message) {
  absl::Status status = absl::UnavailableError(message);
  SetDetail(status, kNeverSent, "1");
  return status;
}

absl::Status WithEarlierCopy(const absl::Status& status) {
  absl::Status result = WithMessage(
      status, absl::StrCat(status.message(), " (an earlier copy of the request got no answer and may have happened)"));
  SetDetail(result, kEarlierCopy, "1");
  return result;
}

std::string ReasonOf(const absl::Status& status) { return DetailOf(status, "reason").value_or(""); }

std::optional<uint64_t> ItemOf(const absl::Status& status) { return NumberOf(status, "item"); }

std::optional<uint64_t> BatchOf(const absl::Status& status) { return NumberOf(status, "batch"); }

std::optional<std::string> DetailOf(const absl::Status& status, absl::string_view key) {
  const absl::optional<absl::Cord> payload = status.GetPayload(absl::StrCat(kPrefix, key));
  if (!payload) return std::nullopt;
  return std::string(*payload);
}

bool NeverSent(const absl::Status& status) {
  return DetailOf(status, kNeverSent).has_value() && !DetailOf(status, kEarlierCopy).has_value();
}

bool OutcomeUnknown(const absl::Status& status) {
  if (status.ok() || NeverSent(status)) return false;
  if (DetailOf(status, kEarlierCopy)) return true;
  const std::string reason = ReasonOf(status);
  if (!reason.empty()) return reason == "OUTCOME_UNKNOWN";
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
}

absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message) {
  absl::Status status(code, message);
  SetDetail(status, "reason", reason);
  return status;
}

absl::Status WithItem(const absl::Status& status, uint64_t item) {
  absl::Status result = status;
  SetDetail(result, "item", absl::StrCat(item));
  return result;
}

absl::Status WithMessage(const absl::Status& status, absl::string_view message) {
  absl::Status result(status.code(), message);
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& payload) { result.SetPayload(url, payload); });
  return result;
}

}  // namespace dmcached::client
