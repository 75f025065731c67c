// MaintenanceService.
#include <optional>

#include "client/src/client_impl.h"
#include "client/src/status_internal.h"
#include "dmcached/client.h"

namespace dmcached::client {
namespace {

CheckSeverity FromProto(v1::CheckSeverity severity) {
  switch (severity) {
    case v1::CHECK_SEVERITY_NOTE:
      return CheckSeverity::kNote;
    case v1::CHECK_SEVERITY_REPAIRABLE:
      return CheckSeverity::kRepairable;
    case v1::CHECK_SEVERITY_FATAL:
      return CheckSeverity::kFatal;
    default:  // Of a newer service.
      return CheckSeverity::kUnknown;
  }
}

CheckFinding FromProto(const v1::CheckFinding& message) {
  CheckFinding finding = {.kind = message.kind(),
                          .severity = FromProto(message.severity()),
                          .mappings = message.mapping_count(),
                          .dirty = message.dirty_count(),
                          .places = message.place_count(),
                          .message = message.message()};
  if (message.has_block()) finding.block = message.block();
  if (message.has_cblocks()) finding.cblocks = BlockRange{message.cblocks().begin(), message.cblocks().end()};
  return finding;
}

CheckSummary FromProto(const v1::CheckSummary& message) {
  return {.notes = message.note_count(),
          .repairable = message.repairable_count(),
          .fatal = message.fatal_count(),
          .cache_blocks = message.cache_blocks(),
          .mapped = message.mapped_count(),
          .dirty = message.dirty_count(),
          .metadata_blocks = message.metadata_block_count(),
          .read_blocks = message.read_block_count(),
          .used_blocks = message.used_block_count(),
          .leaked_blocks = message.leaked_block_count(),
          .clean_shutdown = message.clean_shutdown(),
          .needs_check = message.needs_check(),
          .needs_check_cleared = message.needs_check_cleared(),
          .transaction = message.transaction()};
}

}  // namespace

absl::StatusOr<CheckSummary> Client::Check(const CheckRequest& request, const CheckCallbacks& callbacks,
                                           const CallOptions& options) {
  if (absl::Status connected = impl_->connection.Connect(); !connected.ok()) return connected;
  grpc::ClientContext context;
  if (options.timeout.value_or(kNoDeadline) != kNoDeadline) {
    context.set_deadline(std::chrono::system_clock::now() + *options.timeout);
  }
  v1::CheckRequest message;
  message.set_cache(request.cache);
  message.set_metadata_path(request.metadata_path);
  message.set_clear_needs_check(request.clear_needs_check);
  const auto reader = impl_->maintenance_stub->Check(&context, message);
  std::optional<CheckSummary> summary;
  for (v1::CheckResponse response; reader->Read(&response);) {
    if (response.has_progress() && callbacks.on_progress) {
      callbacks.on_progress(response.progress().done_blocks(), response.progress().total_blocks());
    }
    for (const v1::CheckFinding& finding : response.findings()) {
      if (callbacks.on_finding) callbacks.on_finding(FromProto(finding));
    }
    if (response.has_summary()) summary = FromProto(response.summary());
  }
  if (absl::Status status = FromGrpc(reader->Finish()); !status.ok()) return status;
  if (!summary.has_value()) return absl::InternalError("the service ended the check without a summary");
  return *summary;
}

}  // namespace dmcached::client
