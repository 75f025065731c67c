#include "client/cli/batches.h"

#include "absl/strings/str_cat.h"
#include "client/cli/report.h"

namespace dmcached::cli {

absl::Status ApplyBatches(Session& session, const std::string& cache, const std::vector<std::string>& items,
                          ItemForm form, const MutationFlags& flags, const std::string& verb, const std::string& noun,
                          ApplyBatch apply) {
  ItemReader reader(items, form, session.in);
  if (absl::Status status = reader.Check(); !status.ok()) return UsageError(status.message());
  Progress progress(session.err, session.progress_style(), absl::StrCat(noun, "s of ", cache));
  client::MutationResult last;
  std::optional<uint64_t> removed;
  for (uint64_t index = 0;; ++index) {
    const absl::StatusOr<ItemBatch> batch = reader.Next();
    if (!batch.ok()) return batch.status();
    if (batch->size() == 0 && index > 0) break;
    if (index > 0) progress.Update(reader.applied(), reader.Fraction());
    if (batch->size() == 0)
      return client::MakeError(absl::StatusCode::kInvalidArgument, "INVALID_REQUEST",
                               "standard input holds no line with an item");
    const absl::StatusOr<client::MutationResult> result = apply(*batch, flags.ForBatch(index));
    if (!result.ok()) return reader.Explain(result.status(), *batch);
    reader.MarkApplied(*batch);
    last = *result;
    if (result->removed_count) removed = removed.value_or(0) + *result->removed_count;
  }
  Json extra = Json::object({{"itemCount", reader.applied()}});
  if (removed) extra["removedCount"] = *removed;
  PrintMutation(session, absl::StrCat(verb, " ", Count(reader.applied(), noun), " of ", cache), last, extra);
  return absl::OkStatus();
}

absl::Status NotMapped(uint32_t cblock, uint64_t item) {
  absl::Status status = client::MakeError(absl::StatusCode::kFailedPrecondition, "NOT_MAPPED",
                                          absl::StrCat("cblock ", cblock, " is not mapped"));
  return client::WithItem(status, item);
}

}  // namespace dmcached::cli
