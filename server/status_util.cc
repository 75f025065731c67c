#include "server/status_util.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/status.h"
#include "dmcached/v1/error_details.pb.h"
#include "server/utf8.h"

namespace dmcached {
namespace {

constexpr char kErrorInfoTypeUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kDomain[] = "dmcached";

// A serialized ErrorStatus; its message is cut until the whole fits.
std::string Details(const absl::Status& status, const std::string& text, std::optional<uint64_t> batch) {
  const std::optional<Reason> reason = ReasonOf(status);
  if (!reason.has_value()) return "";
  v1::ErrorInfo info;
  info.set_reason(std::string(ReasonName(*reason)));
  info.set_domain(kDomain);
  if (const std::optional<uint64_t> item = ItemOf(status); item.has_value()) {
    (*info.mutable_metadata())["item"] = std::to_string(*item);
  }
  if (batch.has_value()) (*info.mutable_metadata())["batch"] = std::to_string(*batch);

  v1::ErrorStatus details;
  details.set_code(static_cast<int32_t>(status.code()));
  google::protobuf::Any* any = details.add_details();
  any->set_type_url(kErrorInfoTypeUrl);
  info.SerializeToString(any->mutable_value());
  // Tag and length of the message field take three bytes.
  const size_t room = kMaxStatusDetailsBytes - details.ByteSizeLong() - 3;
  details.set_message(CutText(text, room));
  return details.SerializeAsString();
}

}  // namespace

std::string CutText(const std::string& text, size_t max_bytes) {
  std::string cut;
  cut.reserve(std::min(text.size(), max_bytes));
  std::string_view rest = text;
  while (!rest.empty()) {
    const size_t length = CharacterBytes(rest);
    const size_t taken = length == 0 ? 1 : length;
    if (cut.size() + taken > max_bytes) break;
    cut.append(length == 0 ? "?" : rest.substr(0, length));
    rest.remove_prefix(taken);
  }
  return cut;
}

grpc::Status ToGrpcStatus(const absl::Status& status, std::optional<uint64_t> batch) {
  if (status.ok()) return grpc::Status::OK;
  std::string text(status.message());
  if (batch.has_value()) text = "batch " + std::to_string(*batch) + ": " + text;
  text = CutText(text, kMaxStatusTextBytes);
  std::string details = Details(status, text, batch);
  // The numbers of both enums are those of the gRPC specification.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), text, details);
}

}  // namespace dmcached
