#include "server/cache_convert.h"

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

absl::Status Invalid(absl::string_view message) { return MakeError(Reason::kInvalidRequest, message); }

absl::StatusOr<DirtyTracking> ToDirtyTracking(v1::DirtyTracking tracking) {
  switch (tracking) {
    case v1::DIRTY_TRACKING_UNSPECIFIED:
    case v1::DIRTY_TRACKING_EXACT:
      return DirtyTracking::kExact;
    case v1::DIRTY_TRACKING_CONSERVATIVE:
      return DirtyTracking::kConservative;
    default:
      return Invalid(absl::StrCat("dirty_tracking ", static_cast<int>(tracking), " is unknown"));
  }
}

absl::Status CheckOptionalPath(const char* field, const std::string& path) {
  return path.empty() ? absl::OkStatus() : CheckPath(field, path);
}

v1::Cache::State ToState(CacheState state) {
  switch (state) {
    case CacheState::kOpen:
      return v1::Cache::STATE_OPEN;
    case CacheState::kReadOnly:
      return v1::Cache::STATE_READ_ONLY;
    case CacheState::kFailed:
      return v1::Cache::STATE_FAILED;
    case CacheState::kNeedsCheck:
      return v1::Cache::STATE_NEEDS_CHECK;
    case CacheState::kOpening:
      return v1::Cache::STATE_OPENING;
    case CacheState::kClosing:
      return v1::Cache::STATE_CLOSING;
  }
  return v1::Cache::STATE_UNSPECIFIED;
}

// The raw flags word; its known bits are 0 (clean shutdown) and 1 (needs check).
uint32_t FlagsWord(const Superblock& superblock) {
  return superblock.other_flags | (superblock.clean_shutdown ? 1u : 0u) | (superblock.needs_check ? 2u : 0u);
}

void FillSuperblock(const Superblock& superblock, v1::Superblock* message) {
  message->set_version(superblock.version);
  message->set_clean_shutdown(superblock.clean_shutdown);
  message->set_needs_check(superblock.needs_check);
  message->set_data_block_size_sectors(static_cast<uint32_t>(superblock.data_block_size.value()));
  message->set_cache_blocks(superblock.cache_blocks);
  message->set_policy_name(PrintableText(superblock.policy_name));
  message->mutable_policy_version()->set_major(superblock.policy_version[0]);
  message->mutable_policy_version()->set_minor(superblock.policy_version[1]);
  message->mutable_policy_version()->set_patch(superblock.policy_version[2]);
  message->set_policy_hint_size(superblock.policy_hint_size);
  message->set_discard_block_size_sectors(superblock.discard_block_size.value());
  message->set_discard_blocks(superblock.discard_blocks);
  message->set_read_hits(superblock.read_hits);
  message->set_read_misses(superblock.read_misses);
  message->set_write_hits(superblock.write_hits);
  message->set_write_misses(superblock.write_misses);
  message->set_identity(superblock.identity());
  message->set_metadata_blocks(superblock.space_map.blocks);
  message->set_free_metadata_blocks(superblock.space_map.blocks - superblock.space_map.allocated);
  message->set_compat_flags(superblock.compat_flags);
  message->set_compat_ro_flags(superblock.compat_ro_flags);
  message->set_incompat_flags(superblock.incompat_flags);
  message->set_flags(FlagsWord(superblock));
  message->set_mapping_root(superblock.mapping_root.value());
  message->set_hint_root(superblock.hint_root.value());
  message->set_discard_root(superblock.discard_root.value());
  message->set_dirty_root(superblock.dirty_root.value());
  message->set_metadata_block_size_sectors(superblock.metadata_block_size_sectors);
}

}  // namespace

absl::Status CheckPath(const char* field, const std::string& path) {
  if (path.empty()) return Invalid(absl::StrCat(field, " is missing"));
  if (path[0] != '/') return Invalid(absl::StrCat(field, " \"", path, "\" is not an absolute path"));
  if (path.find('\0') != std::string::npos) return Invalid(absl::StrCat(field, " holds a NUL"));
  return absl::OkStatus();
}

absl::StatusOr<CreateOptions> ToCreateOptions(const v1::CreateCacheRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckCacheName(request.name()));
  DMCACHED_RETURN_IF_ERROR(CheckPath("metadata_path", request.metadata_path()));
  DMCACHED_RETURN_IF_ERROR(CheckOptionalPath("fast_path", request.fast_path()));
  DMCACHED_RETURN_IF_ERROR(CheckOptionalPath("origin_path", request.origin_path()));
  if (request.metadata_version() > 2) {
    return Invalid(absl::StrCat("metadata_version ", request.metadata_version(), " is neither 1 nor 2"));
  }
  CreateOptions options;
  options.name = request.name();
  options.metadata_path = request.metadata_path();
  options.data_block_size = Sectors(request.data_block_size_sectors());
  if (request.has_cache_blocks()) options.cache_blocks = request.cache_blocks();
  if (request.has_origin_size_sectors()) options.origin_size = Sectors(request.origin_size_sectors());
  options.fast_path = request.fast_path();
  options.origin_path = request.origin_path();
  options.version = request.metadata_version() == 0 ? 2 : request.metadata_version();
  options.policy_name = request.policy_name();
  options.identity = request.identity();
  DMCACHED_ASSIGN_OR_RETURN(options.dirty_tracking, ToDirtyTracking(request.dirty_tracking()));
  options.force = request.force();
  options.validate_only = request.validate_only();
  return options;
}

absl::StatusOr<OpenOptions> ToOpenOptions(const v1::OpenCacheRequest& request) {
  DMCACHED_RETURN_IF_ERROR(CheckCacheName(request.name()));
  DMCACHED_RETURN_IF_ERROR(CheckOptionalPath("metadata_path", request.metadata_path()));
  DMCACHED_RETURN_IF_ERROR(CheckOptionalPath("fast_path", request.fast_path()));
  DMCACHED_RETURN_IF_ERROR(CheckOptionalPath("origin_path", request.origin_path()));
  OpenOptions options;
  options.name = request.name();
  options.metadata_path = request.metadata_path();
  options.read_only = request.read_only();
  options.assume_unclean = request.assume_unclean();
  options.old_callers_gone = request.old_callers_gone();
  if (request.dirty_tracking() != v1::DIRTY_TRACKING_UNSPECIFIED) {
    DMCACHED_ASSIGN_OR_RETURN(options.dirty_tracking, ToDirtyTracking(request.dirty_tracking()));
  }
  options.fast_path = request.fast_path();
  options.origin_path = request.origin_path();
  options.expected_identity = request.expected_identity();
  options.expected_block_size = Sectors(request.expected_block_size_sectors());
  if (request.has_origin_size_sectors()) options.origin_size = Sectors(request.origin_size_sectors());
  options.recover = request.recover();
  return options;
}

absl::StatusOr<MutationCall> ToMutation(const v1::ResizeCacheRequest& request) {
  if (!request.has_cache_blocks() && !request.has_origin_size_sectors()) {
    return Invalid("neither cache_blocks nor origin_size_sectors is given");
  }
  MutationCall call;
  DMCACHED_ASSIGN_OR_RETURN(call.conditions, ToConditions(request.options(), /*mandatory=*/false));
  Resize resize;
  if (request.has_cache_blocks()) resize.cache_blocks = request.cache_blocks();
  if (request.has_origin_size_sectors()) resize.origin_size = Sectors(request.origin_size_sectors());
  call.mutation = resize;
  return call;
}

void FillCache(const CacheInfo& info, v1::Cache* message) {
  message->set_name(info.name);
  message->set_state(ToState(info.state));
  message->set_metadata_path(info.metadata_path);
  message->set_fast_path(info.fast_path);
  message->set_origin_path(info.origin_path);
  FillSuperblock(info.superblock, message->mutable_superblock());
  // The superblock's own count is that of the last commit.
  message->mutable_superblock()->set_metadata_blocks(info.metadata_blocks);
  message->mutable_superblock()->set_free_metadata_blocks(info.free_metadata_blocks);
  message->set_dirty_tracking(info.dirty_tracking == DirtyTracking::kExact ? v1::DIRTY_TRACKING_EXACT
                                                                           : v1::DIRTY_TRACKING_CONSERVATIVE);
  message->set_mapped_blocks(info.mapped_blocks);
  message->set_dirty_blocks(info.dirty_blocks);
  message->set_free_blocks(info.free_blocks);
  message->set_reserved_blocks(info.reserved_blocks);
  message->set_discarded_blocks(info.discarded_blocks);
  message->set_metadata_device_bytes(info.metadata_device_bytes);
  message->set_held_metadata_blocks(info.held_metadata_blocks);
  message->set_direct_io(info.direct_io);
  message->set_incarnation(info.incarnation);
  message->set_revision(info.revision);
  message->set_transaction(info.transaction);
  message->set_durable_transaction(info.durable_transaction);
  message->set_uncommitted_changes(info.uncommitted_changes);
  message->set_last_error(info.last_error);
  message->set_must_assume_all_dirty(info.must_assume_all_dirty);
  message->set_origin_size_sectors(info.origin_size.value());
  message->set_fast_size_sectors(info.fast_size.value());
  message->set_snapshots(info.snapshots);
}

void FillProbe(const ProbeResult& result, v1::ProbeCacheResponse* message) {
  message->set_formatted(result.superblock.has_value());
  if (result.superblock.has_value()) FillSuperblock(*result.superblock, message->mutable_superblock());
  message->set_device_bytes(result.device_bytes);
}

void FillPlan(const Plan& plan, v1::PlanCacheResponse* message) {
  message->set_data_block_size_sectors(static_cast<uint32_t>(plan.data_block_size.value()));
  message->set_cache_blocks(plan.cache_blocks);
  message->set_origin_blocks(plan.origin_blocks);
  message->set_discard_block_size_sectors(plan.discards.block_size.value());
  message->set_discard_blocks(plan.discards.blocks);
  message->set_metadata_bytes(plan.metadata_bytes);
  message->set_recommended_metadata_bytes(plan.recommended_metadata_bytes);
  message->set_memory_bytes(plan.memory_bytes);
  for (const std::string& warning : plan.warnings) message->add_warnings(warning);
}

}  // namespace dmcached
