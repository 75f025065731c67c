#include "server/convert.h"

#include <algorithm>
#include <limits>
#include <span>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kMaxNameBytes = 63;

template <typename Column>
auto AsSpan(const Column& column) {
  return std::span(column.data(), static_cast<size_t>(column.size()));
}

absl::Status Invalid(absl::string_view message) { return MakeError(Reason::kInvalidRequest, message); }

absl::Status CheckItems(const char* column, int count) {
  if (static_cast<size_t>(count) <= kMaxItemsPerRequest) return absl::OkStatus();
  return MakeError(Reason::kTooManyItems,
                   absl::StrCat(column, " has ", count, " items, at most ", kMaxItemsPerRequest, " are allowed"));
}

absl::Status CheckEqual(const char* first, int first_count, const char* second, int second_count) {
  if (first_count == second_count) return absl::OkStatus();
  return Invalid(
      absl::StrCat("columns are of unequal length: ", first_count, " ", first, ", ", second_count, " ", second));
}

template <typename Request>
absl::Status CheckPairs(const Request& request) {
  DMCACHED_RETURN_IF_ERROR(CheckItems("cblocks", request.cblocks_size()));
  DMCACHED_RETURN_IF_ERROR(CheckItems("oblocks", request.oblocks_size()));
  return CheckEqual("cblocks", request.cblocks_size(), "oblocks", request.oblocks_size());
}

absl::Status CheckRange(const char* field, const v1::BlockRange& range) {
  if (range.begin() <= range.end()) return absl::OkStatus();
  return Invalid(absl::StrCat(field, " ends before it begins: ", range.begin(), "-", range.end()));
}

template <typename Request>
absl::StatusOr<std::vector<DblockRange>> ToDblockRanges(const Request& request) {
  DMCACHED_RETURN_IF_ERROR(CheckItems("ranges", request.ranges_size()));
  std::vector<DblockRange> ranges;
  ranges.reserve(static_cast<size_t>(request.ranges_size()));
  for (const v1::BlockRange& range : request.ranges()) {
    if (range.begin() > range.end()) {
      return MakeItemError(Reason::kInvalidRequest, ranges.size(),
                           absl::StrCat("range ends before it begins: ", range.begin(), "-", range.end()));
    }
    ranges.push_back({Dblock(range.begin()), Dblock(range.end())});
  }
  return ranges;
}

PolicyVersion ToPolicyVersion(const v1::PolicyVersion& version) {
  return {version.major(), version.minor(), version.patch()};
}

template <typename Field>
void FillBools(const std::vector<uint8_t>& values, Field* field) {
  field->Reserve(static_cast<int>(values.size()));
  for (const uint8_t value : values) field->AddAlreadyReserved(value != 0);
}

template <typename Request>
absl::StatusOr<MutationCall> ToBatch(const std::string& cache, const Request& request) {
  if (!request.cache().empty() && request.cache() != cache) {
    return Invalid(absl::StrCat("the batch is for cache \"", request.cache(), "\", the stream for \"", cache, "\""));
  }
  return ToMutation(request);
}

}  // namespace

absl::Status CheckCacheName(const std::string& name) {
  const auto is_alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !name.empty() && name.size() <= kMaxNameBytes && is_alphanumeric(name[0]) &&
                    std::all_of(name.begin(), name.end(), [&](char c) { return is_alphanumeric(c) || c == '-'; });
  if (good) return absl::OkStatus();
  if (name.empty()) return Invalid("the name of the cache is missing");
  return Invalid(absl::StrCat("cache name \"", name.substr(0, kMaxNameBytes + 1),
                              "\" is not 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit"));
}

absl::StatusOr<Conditions> ToConditions(const v1::MutationOptions& options, bool mandatory) {
  if (options.request_id().size() > kMaxRequestIdBytes) {
    return Invalid(absl::StrCat("request_id has ", options.request_id().size(), " bytes, at most ", kMaxRequestIdBytes,
                                " are allowed"));
  }
  if (mandatory && options.request_id().empty()) return Invalid("options.request_id is missing; it is mandatory here");
  if (mandatory && !options.has_incarnation()) return Invalid("options.incarnation is missing; it is mandatory here");
  Conditions conditions;
  conditions.request_id = options.request_id();
  if (options.has_incarnation()) conditions.incarnation = options.incarnation();
  if (options.has_expected_revision()) conditions.expected_revision = options.expected_revision();
  conditions.durable = options.durable();
  return conditions;
}

absl::StatusOr<MutationCall> ToMutation(const v1::InsertMappingsRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckPairs(request));
  if (request.dirty_size() != 0) {
    DMCACHED_RETURN_IF_ERROR(CheckEqual("cblocks", request.cblocks_size(), "dirty", request.dirty_size()));
  }
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/true));
  InsertMappings insert{AsSpan(request.cblocks()), AsSpan(request.oblocks()), AsSpan(request.dirty()), std::nullopt};
  if (request.has_reservation()) insert.reservation = request.reservation();
  call.mutation = insert;
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::RemoveMappingsRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckPairs(request));
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/true));
  RemoveMappings remove{AsSpan(request.cblocks()), AsSpan(request.oblocks()), std::nullopt, request.discard_dirty()};
  if (request.has_oblock_range()) {
    if (request.cblocks_size() != 0) return Invalid("pairs and oblock_range are both given; only one may be");
    DMCACHED_RETURN_IF_ERROR(CheckRange("oblock_range", request.oblock_range()));
    remove.oblock_range = OblockRange{Oblock(request.oblock_range().begin()), Oblock(request.oblock_range().end())};
  }
  call.mutation = remove;
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::MarkDirtyRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckItems("cblocks", request.cblocks_size()));
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/false));
  call.mutation = MarkDirty{AsSpan(request.cblocks())};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::ClearDirtyRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckPairs(request));
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/true));
  call.mutation = ClearDirty{AsSpan(request.cblocks()), AsSpan(request.oblocks())};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::SetDiscardsRequest& request) {
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.ranges, ToDblockRanges(request));
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/true));
  call.mutation = SetDiscards{call.ranges, request.discard_dirty()};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::ClearDiscardsRequest& request) {
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.ranges, ToDblockRanges(request));
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/false));
  call.mutation = ClearDiscards{call.ranges};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::BeginHintsRequest& request) {
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/false));
  call.mutation =
      BeginHints{request.policy_name(), ToPolicyVersion(request.policy_version()), request.hint_size_bytes()};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::SaveHintsRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckItems("cblocks", request.cblocks_size()));
  DMCACHED_RETURN_IF_ERROR(CheckEqual("cblocks", request.cblocks_size(), "hints", request.hints_size()));
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/false));
  call.mutation = SaveHints{AsSpan(request.cblocks()), AsSpan(request.hints())};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const v1::SetStatsRequest& request) {
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/false));
  const v1::Stats& stats = request.stats();
  call.mutation = SetStats{{stats.read_hits(), stats.read_misses(), stats.write_hits(), stats.write_misses()}};
  return call;
}

absl::StatusOr<MutationCall> ToMutation(const std::string& cache, const v1::MutateRequest& request) {
  switch (request.mutation_case()) {
    case v1::MutateRequest::kInsertMappings:
      return ToBatch(cache, request.insert_mappings());
    case v1::MutateRequest::kRemoveMappings:
      return ToBatch(cache, request.remove_mappings());
    case v1::MutateRequest::kMarkDirty:
      return ToBatch(cache, request.mark_dirty());
    case v1::MutateRequest::kClearDirty:
      return ToBatch(cache, request.clear_dirty());
    case v1::MutateRequest::kSetDiscards:
      return ToBatch(cache, request.set_discards());
    case v1::MutateRequest::kClearDiscards:
      return ToBatch(cache, request.clear_discards());
    case v1::MutateRequest::kBeginHints:
      return ToBatch(cache, request.begin_hints());
    case v1::MutateRequest::kSaveHints:
      return ToBatch(cache, request.save_hints());
    case v1::MutateRequest::kSetStats:
      return ToBatch(cache, request.set_stats());
    case v1::MutateRequest::MUTATION_NOT_SET:
      break;
  }
  return Invalid("the message has no mutation that this server knows");
}

absl::StatusOr<LookupRequest> ToLookup(const v1::LookupMappingsRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckItems("cblocks", request.cblocks_size()));
  DMCACHED_RETURN_IF_ERROR(CheckItems("oblocks", request.oblocks_size()));
  if (request.cblocks_size() != 0 && request.oblocks_size() != 0) {
    return Invalid("cblocks and oblocks are both given; only one may be");
  }
  return LookupRequest{AsSpan(request.cblocks()), AsSpan(request.oblocks()), request.durable()};
}

std::optional<HintPolicy> ToHintPolicy(const std::string& name, const v1::PolicyVersion& version) {
  if (name.empty()) return std::nullopt;
  return HintPolicy{name, ToPolicyVersion(version)};
}

absl::StatusOr<MappingFilter> ToFilter(const v1::ListMappingsRequest& request) {
  MappingFilter filter;
  filter.dirty_only = request.dirty_only();
  if (request.has_cblock_range()) {
    DMCACHED_RETURN_IF_ERROR(CheckRange("cblock_range", request.cblock_range()));
    // No cache has a cblock of the largest 32-bit number, so it serves as every end beyond.
    const auto clip = [](uint64_t value) {
      return Cblock(static_cast<uint32_t>(std::min<uint64_t>(value, std::numeric_limits<uint32_t>::max())));
    };
    filter.cblocks = CblockRange{clip(request.cblock_range().begin()), clip(request.cblock_range().end())};
  }
  if (request.has_oblock_range()) {
    DMCACHED_RETURN_IF_ERROR(CheckRange("oblock_range", request.oblock_range()));
    filter.oblocks = OblockRange{Oblock(request.oblock_range().begin()), Oblock(request.oblock_range().end())};
  }
  filter.policy = ToHintPolicy(request.policy_name(), request.policy_version());
  return filter;
}

void FillResult(const MutationResult& result, v1::MutationResult* message) {
  message->set_incarnation(result.incarnation);
  message->set_revision(result.revision);
  message->set_transaction(result.transaction);
  message->set_durable_transaction(result.durable_transaction);
}

void FillLookup(const LookupResult& result, v1::LookupMappingsResponse* message) {
  FillBools(result.mapped, message->mutable_mapped());
  message->mutable_cblocks()->Add(result.cblocks.begin(), result.cblocks.end());
  message->mutable_oblocks()->Add(result.oblocks.begin(), result.oblocks.end());
  FillBools(result.dirty, message->mutable_dirty());
  FillBools(result.dirty_stored, message->mutable_dirty_stored());
  message->mutable_hints()->Add(result.hints.begin(), result.hints.end());
  message->set_incarnation(result.incarnation);
  message->set_revision(result.revision);
  message->set_transaction(result.transaction);
  message->set_durable_transaction(result.durable_transaction);
}

void FillPage(const MappingPage& page, v1::ListMappingsResponse* message) {
  message->mutable_cblocks()->Add(page.cblocks.begin(), page.cblocks.end());
  message->mutable_oblocks()->Add(page.oblocks.begin(), page.oblocks.end());
  FillBools(page.dirty, message->mutable_dirty());
  FillBools(page.dirty_stored, message->mutable_dirty_stored());
  message->mutable_hints()->Add(page.hints.begin(), page.hints.end());
}

void FillPage(const DiscardPage& page, v1::ListDiscardsResponse* message) {
  message->mutable_begins()->Add(page.begins.begin(), page.begins.end());
  message->mutable_ends()->Add(page.ends.begin(), page.ends.end());
}

void FillPage(const HintPage& page, v1::ListHintsResponse* message) {
  message->mutable_cblocks()->Add(page.cblocks.begin(), page.cblocks.end());
  message->mutable_hints()->Add(page.hints.begin(), page.hints.end());
}

void FillStats(const Stats& stats, v1::Stats* message) {
  message->set_read_hits(stats.read_hits);
  message->set_read_misses(stats.read_misses);
  message->set_write_hits(stats.write_hits);
  message->set_write_misses(stats.write_misses);
}

std::string MakeCursor(char kind, uint64_t next) { return absl::StrCat(std::string(1, kind), next); }

absl::StatusOr<uint64_t> ParseCursor(char kind, const std::string& cursor, uint64_t limit) {
  if (cursor.empty()) return 0;
  uint64_t next = 0;
  const bool digits = cursor.size() > 1 && cursor[0] == kind &&
                      std::all_of(cursor.begin() + 1, cursor.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(cursor.substr(1), &next) || next > limit) {
    return Invalid("the cursor is not one that this list gave");
  }
  return next;
}

}  // namespace dmcached
