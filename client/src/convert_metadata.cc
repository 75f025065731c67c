// Batches and columns of MetadataService.
#include <algorithm>

#include "client/src/convert.h"

namespace dmcached::client {
namespace {

template <typename Column, typename Values>
void SetColumn(Column* column, const Values& values) {
  column->Add(values.begin(), values.end());
}

void SetRange(v1::BlockRange* message, const BlockRange& range) {
  message->set_begin(range.begin);
  message->set_end(range.end);
}

void SetRanges(google::protobuf::RepeatedPtrField<v1::BlockRange>* column, std::span<const BlockRange> ranges) {
  column->Reserve(static_cast<int>(ranges.size()));
  for (const BlockRange& range : ranges) SetRange(column->Add(), range);
}

void SetVersion(v1::PolicyVersion* message, const PolicyVersion& version) {
  message->set_major(version.major);
  message->set_minor(version.minor);
  message->set_patch(version.patch);
}

absl::Status UnequalColumns() { return absl::InternalError("the service answered with columns of unequal length"); }

// True if an optional column is absent or as long as the others.
template <typename Column>
bool Fits(const Column& column, int size) {
  return column.empty() || column.size() == size;
}

// The mapping in row `row` of columns whose lengths were checked.
template <typename Message>
Mapping MappingAt(const Message& message, int row) {
  Mapping mapping = {.cblock = message.cblocks(row), .oblock = message.oblocks(row), .dirty = message.dirty(row)};
  if (!message.dirty_stored().empty()) mapping.dirty_stored = message.dirty_stored(row);
  if (!message.hints().empty()) mapping.hint = message.hints(row);
  return mapping;
}

template <typename Message>
bool ColumnsAgree(const Message& message) {
  const int size = message.cblocks_size();
  return message.oblocks_size() == size && message.dirty_size() == size && Fits(message.dirty_stored(), size) &&
         Fits(message.hints(), size);
}

}  // namespace

MutationResult FromProto(const v1::MutationResult& message) {
  return {.incarnation = message.incarnation(),
          .revision = message.revision(),
          .transaction = message.transaction(),
          .durable_transaction = message.durable_transaction()};
}

Reservation FromProto(const v1::ReserveCblocksResponse& message) {
  return {.id = message.reservation(),
          .cblocks = {message.cblocks().begin(), message.cblocks().end()},
          .ttl_ms = message.ttl_ms(),
          .incarnation = message.incarnation()};
}

Stats FromProto(const v1::Stats& message) {
  return {.read_hits = message.read_hits(),
          .read_misses = message.read_misses(),
          .write_hits = message.write_hits(),
          .write_misses = message.write_misses()};
}

absl::StatusOr<LookupResult> FromProto(const v1::LookupMappingsResponse& message) {
  if (!ColumnsAgree(message) || message.mapped_size() != message.cblocks_size()) return UnequalColumns();
  LookupResult result = {.incarnation = message.incarnation(),
                         .revision = message.revision(),
                         .transaction = message.transaction(),
                         .durable_transaction = message.durable_transaction()};
  result.mappings.resize(static_cast<size_t>(message.mapped_size()));
  for (int row = 0; row < message.mapped_size(); ++row) {
    if (message.mapped(row)) result.mappings[static_cast<size_t>(row)] = MappingAt(message, row);
  }
  return result;
}

absl::Status FromProto(const v1::ListMappingsResponse& message, std::vector<Mapping>& items) {
  if (!ColumnsAgree(message)) return UnequalColumns();
  for (int row = 0; row < message.cblocks_size(); ++row) items.push_back(MappingAt(message, row));
  return absl::OkStatus();
}

absl::Status FromProto(const v1::ListDiscardsResponse& message, std::vector<BlockRange>& items) {
  if (message.begins_size() != message.ends_size()) return UnequalColumns();
  for (int row = 0; row < message.begins_size(); ++row) items.push_back({message.begins(row), message.ends(row)});
  return absl::OkStatus();
}

absl::Status FromProto(const v1::ListHintsResponse& message, std::vector<Hint>& items) {
  if (message.cblocks_size() != message.hints_size()) return UnequalColumns();
  for (int row = 0; row < message.cblocks_size(); ++row) items.push_back({message.cblocks(row), message.hints(row)});
  return absl::OkStatus();
}

v1::ListMappingsRequest ToProto(const std::string& cache, const ListMappingsRequest& request) {
  v1::ListMappingsRequest message;
  message.set_cache(cache);
  message.set_dirty_only(request.dirty_only);
  if (request.cblock_range) SetRange(message.mutable_cblock_range(), *request.cblock_range);
  if (request.oblock_range) SetRange(message.mutable_oblock_range(), *request.oblock_range);
  message.set_cursor(request.cursor);
  message.set_policy_name(request.policy_name);
  if (!request.policy_name.empty()) SetVersion(message.mutable_policy_version(), request.policy_version);
  return message;
}

v1::ListHintsRequest ToProto(const std::string& cache, const ListHintsRequest& request) {
  v1::ListHintsRequest message;
  message.set_cache(cache);
  message.set_cursor(request.cursor);
  message.set_policy_name(request.policy_name);
  if (!request.policy_name.empty()) SetVersion(message.mutable_policy_version(), request.policy_version);
  return message;
}

v1::InsertMappingsRequest ToProto(const InsertBatch& batch) {
  v1::InsertMappingsRequest message;
  SetColumn(message.mutable_cblocks(), batch.cblocks);
  SetColumn(message.mutable_oblocks(), batch.oblocks);
  message.mutable_dirty()->Reserve(static_cast<int>(batch.dirty.size()));
  for (const uint8_t dirty : batch.dirty) message.add_dirty(dirty != 0);
  if (batch.reservation) message.set_reservation(*batch.reservation);
  return message;
}

v1::RemoveMappingsRequest ToProto(const RemoveBatch& batch) {
  v1::RemoveMappingsRequest message;
  SetColumn(message.mutable_cblocks(), batch.cblocks);
  SetColumn(message.mutable_oblocks(), batch.oblocks);
  if (batch.oblock_range) SetRange(message.mutable_oblock_range(), *batch.oblock_range);
  message.set_discard_dirty(batch.discard_dirty);
  return message;
}

v1::MarkDirtyRequest ToProto(const MarkDirtyBatch& batch) {
  v1::MarkDirtyRequest message;
  SetColumn(message.mutable_cblocks(), batch.cblocks);
  return message;
}

v1::ClearDirtyRequest ToProto(const ClearDirtyBatch& batch) {
  v1::ClearDirtyRequest message;
  SetColumn(message.mutable_cblocks(), batch.cblocks);
  SetColumn(message.mutable_oblocks(), batch.oblocks);
  return message;
}

v1::SetDiscardsRequest ToProto(const SetDiscardsBatch& batch) {
  v1::SetDiscardsRequest message;
  SetRanges(message.mutable_ranges(), batch.ranges);
  message.set_discard_dirty(batch.discard_dirty);
  return message;
}

v1::ClearDiscardsRequest ToProto(const ClearDiscardsBatch& batch) {
  v1::ClearDiscardsRequest message;
  SetRanges(message.mutable_ranges(), batch.ranges);
  return message;
}

v1::BeginHintsRequest ToProto(const BeginHintsBatch& batch) {
  v1::BeginHintsRequest message;
  message.set_policy_name(batch.policy_name);
  SetVersion(message.mutable_policy_version(), batch.policy_version);
  message.set_hint_size_bytes(batch.hint_size_bytes);
  return message;
}

v1::SaveHintsRequest ToProto(const SaveHintsBatch& batch) {
  v1::SaveHintsRequest message;
  SetColumn(message.mutable_cblocks(), batch.cblocks);
  SetColumn(message.mutable_hints(), batch.hints);
  return message;
}

v1::SetStatsRequest ToProto(const SetStatsBatch& batch) {
  v1::SetStatsRequest message;
  message.mutable_stats()->set_read_hits(batch.stats.read_hits);
  message.mutable_stats()->set_read_misses(batch.stats.read_misses);
  message.mutable_stats()->set_write_hits(batch.stats.write_hits);
  message.mutable_stats()->set_write_misses(batch.stats.write_misses);
  return message;
}

}  // namespace dmcached::client
