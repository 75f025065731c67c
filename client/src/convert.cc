// Caches and everything else of CacheService.
#include "client/src/convert.h"

namespace dmcached::client {
namespace {

CacheState FromProto(v1::Cache::State state) {
  switch (state) {
    case v1::Cache::STATE_OPEN:
      return CacheState::kOpen;
    case v1::Cache::STATE_READ_ONLY:
      return CacheState::kReadOnly;
    case v1::Cache::STATE_FAILED:
      return CacheState::kFailed;
    case v1::Cache::STATE_NEEDS_CHECK:
      return CacheState::kNeedsCheck;
    case v1::Cache::STATE_OPENING:
      return CacheState::kOpening;
    case v1::Cache::STATE_CLOSING:
      return CacheState::kClosing;
    default:  // A newer service may know more.
      return CacheState::kUnknown;
  }
}

DirtyTracking FromProto(v1::DirtyTracking tracking) {
  switch (tracking) {
    case v1::DIRTY_TRACKING_EXACT:
      return DirtyTracking::kExact;
    case v1::DIRTY_TRACKING_CONSERVATIVE:
      return DirtyTracking::kConservative;
    default:
      return DirtyTracking::kDefault;
  }
}

v1::DirtyTracking ToProto(DirtyTracking tracking) {
  switch (tracking) {
    case DirtyTracking::kExact:
      return v1::DIRTY_TRACKING_EXACT;
    case DirtyTracking::kConservative:
      return v1::DIRTY_TRACKING_CONSERVATIVE;
    case DirtyTracking::kDefault:
      break;
  }
  return v1::DIRTY_TRACKING_UNSPECIFIED;
}

}  // namespace

Superblock FromProto(const v1::Superblock& message) {
  return {.version = message.version(),
          .clean_shutdown = message.clean_shutdown(),
          .needs_check = message.needs_check(),
          .data_block_size_sectors = message.data_block_size_sectors(),
          .cache_blocks = message.cache_blocks(),
          .policy_name = message.policy_name(),
          .policy_version = {message.policy_version().major(), message.policy_version().minor(),
                             message.policy_version().patch()},
          .policy_hint_size = message.policy_hint_size(),
          .discard_block_size_sectors = message.discard_block_size_sectors(),
          .discard_blocks = message.discard_blocks(),
          .read_hits = message.read_hits(),
          .read_misses = message.read_misses(),
          .write_hits = message.write_hits(),
          .write_misses = message.write_misses(),
          .identity = message.identity(),
          .metadata_blocks = message.metadata_blocks(),
          .free_metadata_blocks = message.free_metadata_blocks(),
          .compat_flags = message.compat_flags(),
          .compat_ro_flags = message.compat_ro_flags(),
          .incompat_flags = message.incompat_flags(),
          .flags = message.flags(),
          .mapping_root = message.mapping_root(),
          .hint_root = message.hint_root(),
          .discard_root = message.discard_root(),
          .dirty_root = message.dirty_root(),
          .metadata_block_size_sectors = message.metadata_block_size_sectors()};
}

Cache FromProto(const v1::Cache& message) {
  return {.name = message.name(),
          .state = FromProto(message.state()),
          .metadata_path = message.metadata_path(),
          .fast_path = message.fast_path(),
          .origin_path = message.origin_path(),
          .superblock = FromProto(message.superblock()),
          .dirty_tracking = FromProto(message.dirty_tracking()),
          .mapped_blocks = message.mapped_blocks(),
          .dirty_blocks = message.dirty_blocks(),
          .free_blocks = message.free_blocks(),
          .discarded_blocks = message.discarded_blocks(),
          .metadata_device_bytes = message.metadata_device_bytes(),
          .direct_io = message.direct_io(),
          .incarnation = message.incarnation(),
          .revision = message.revision(),
          .transaction = message.transaction(),
          .durable_transaction = message.durable_transaction(),
          .uncommitted_changes = message.uncommitted_changes(),
          .last_error = message.last_error(),
          .must_assume_all_dirty = message.must_assume_all_dirty(),
          .origin_size_sectors = message.origin_size_sectors(),
          .snapshots = message.snapshots(),
          .reserved_blocks = message.reserved_blocks(),
          .held_metadata_blocks = message.held_metadata_blocks(),
          .fast_size_sectors = message.fast_size_sectors()};
}

ServerInfo FromProto(const v1::GetServerInfoResponse& message) {
  return {.version = message.version(),
          .revision = message.revision(),
          .metadata_versions = {message.metadata_versions().begin(), message.metadata_versions().end()},
          .max_items_per_message = message.max_items_per_message(),
          .max_message_bytes = message.max_message_bytes(),
          .max_reservation_ttl_ms = message.max_reservation_ttl_ms(),
          .commit_interval_ms = message.commit_interval_ms(),
          .block_cache_bytes = message.block_cache_bytes(),
          .max_snapshots = message.max_snapshots()};
}

ProbeResult FromProto(const v1::ProbeCacheResponse& message) {
  return {.formatted = message.formatted(),
          .superblock = FromProto(message.superblock()),
          .device_bytes = message.device_bytes()};
}

PlanResult FromProto(const v1::PlanCacheResponse& message) {
  return {.data_block_size_sectors = message.data_block_size_sectors(),
          .cache_blocks = message.cache_blocks(),
          .origin_blocks = message.origin_blocks(),
          .discard_block_size_sectors = message.discard_block_size_sectors(),
          .discard_blocks = message.discard_blocks(),
          .metadata_bytes = message.metadata_bytes(),
          .recommended_metadata_bytes = message.recommended_metadata_bytes(),
          .memory_bytes = message.memory_bytes(),
          .warnings = {message.warnings().begin(), message.warnings().end()}};
}

v1::PlanCacheRequest ToProto(const PlanRequest& request) {
  v1::PlanCacheRequest message;
  message.set_origin_size_sectors(request.origin_size_sectors);
  message.set_fast_size_sectors(request.fast_size_sectors);
  message.set_data_block_size_sectors(request.data_block_size_sectors);
  return message;
}

v1::CreateCacheRequest ToProto(const CreateRequest& request) {
  v1::CreateCacheRequest message;
  message.set_name(request.name);
  message.set_metadata_path(request.metadata_path);
  message.set_data_block_size_sectors(request.data_block_size_sectors);
  if (request.cache_blocks) message.set_cache_blocks(*request.cache_blocks);
  if (request.origin_size_sectors) message.set_origin_size_sectors(*request.origin_size_sectors);
  message.set_fast_path(request.fast_path);
  message.set_origin_path(request.origin_path);
  message.set_metadata_version(request.metadata_version);
  message.set_policy_name(request.policy_name);
  message.set_identity(request.identity);
  message.set_dirty_tracking(ToProto(request.dirty_tracking));
  message.set_force(request.force);
  message.set_validate_only(request.validate_only);
  return message;
}

v1::OpenCacheRequest ToProto(const OpenRequest& request) {
  v1::OpenCacheRequest message;
  message.set_name(request.name);
  message.set_metadata_path(request.metadata_path);
  message.set_read_only(request.read_only);
  message.set_assume_unclean(request.assume_unclean);
  message.set_old_callers_gone(request.old_callers_gone);
  message.set_dirty_tracking(ToProto(request.dirty_tracking));
  message.set_fast_path(request.fast_path);
  message.set_origin_path(request.origin_path);
  message.set_expected_identity(request.expected_identity);
  message.set_expected_block_size_sectors(request.expected_block_size_sectors);
  if (request.origin_size_sectors) message.set_origin_size_sectors(*request.origin_size_sectors);
  message.set_recover(request.recover);
  return message;
}

}  // namespace dmcached::client
