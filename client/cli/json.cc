#include "client/cli/json.h"

#include "client/cli/size.h"
#include "dmcached/status.h"

namespace dmcached::cli {
namespace {

void AddSuperblock(Json& json, const client::Superblock& superblock) {
  json["version"] = superblock.version;
  json["cleanShutdown"] = superblock.clean_shutdown;
  json["needsCheck"] = superblock.needs_check;
  json["dataBlockSizeSectors"] = superblock.data_block_size_sectors;
  json["cacheBlocks"] = superblock.cache_blocks;
  json["policyName"] = superblock.policy_name;
  json["policyVersion"] = {{"major", superblock.policy_version.major},
                           {"minor", superblock.policy_version.minor},
                           {"patch", superblock.policy_version.patch}};
  json["policyHintSize"] = superblock.policy_hint_size;
  json["discardBlockSizeSectors"] = superblock.discard_block_size_sectors;
  json["discardBlocks"] = superblock.discard_blocks;
  json["readHits"] = superblock.read_hits;
  json["readMisses"] = superblock.read_misses;
  json["writeHits"] = superblock.write_hits;
  json["writeMisses"] = superblock.write_misses;
  json["identity"] = superblock.identity;
  json["metadataBlocks"] = superblock.metadata_blocks;
  json["freeMetadataBlocks"] = superblock.free_metadata_blocks;
  json["compatFlags"] = superblock.compat_flags;
  json["compatRoFlags"] = superblock.compat_ro_flags;
  json["incompatFlags"] = superblock.incompat_flags;
  json["flags"] = superblock.flags;
  json["mappingRoot"] = superblock.mapping_root;
  json["hintRoot"] = superblock.hint_root;
  json["discardRoot"] = superblock.discard_root;
  json["dirtyRoot"] = superblock.dirty_root;
  json["metadataBlockSizeSectors"] = superblock.metadata_block_size_sectors;
}

// Of metadata that could not be opened yet nothing is known.
bool WasRead(const client::Cache& cache) { return cache.incarnation != 0; }

void AddContents(Json& json, const client::Cache& cache) {
  AddSuperblock(json, cache.superblock);
  json["mappedBlocks"] = cache.mapped_blocks;
  json["dirtyBlocks"] = cache.dirty_blocks;
  json["freeBlocks"] = cache.free_blocks;
  json["reservedBlocks"] = cache.reserved_blocks;
  json["discardedBlocks"] = cache.discarded_blocks;
  json["metadataDeviceBytes"] = cache.metadata_device_bytes;
  json["heldMetadataBlocks"] = cache.held_metadata_blocks;
  json["directIo"] = cache.direct_io;
  json["incarnation"] = FormatHex(cache.incarnation);
  json["revision"] = cache.revision;
  json["transaction"] = cache.transaction;
  json["durableTransaction"] = cache.durable_transaction;
  json["uncommittedChanges"] = cache.uncommitted_changes;
  json["mustAssumeAllDirty"] = cache.must_assume_all_dirty;
  if (cache.origin_size_sectors != 0) json["originSizeSectors"] = cache.origin_size_sectors;
  json["fastSizeSectors"] = cache.fast_size_sectors;
  json["snapshots"] = cache.snapshots;
}

}  // namespace

Json ToJson(const client::ServerInfo& info) {
  Json json;
  json["version"] = info.version;
  json["revision"] = info.revision;
  json["metadataVersions"] = info.metadata_versions;
  json["maxItemsPerMessage"] = info.max_items_per_message;
  json["maxMessageBytes"] = info.max_message_bytes;
  json["maxReservationTtlMs"] = info.max_reservation_ttl_ms;
  json["commitIntervalMs"] = info.commit_interval_ms;
  json["blockCacheBytes"] = info.block_cache_bytes;
  json["maxSnapshots"] = info.max_snapshots;
  return json;
}

Json ToJson(const client::ProbeResult& probe) {
  Json json;
  json["formatted"] = probe.formatted;
  json["deviceBytes"] = probe.device_bytes;
  if (probe.formatted) AddSuperblock(json, probe.superblock);
  return json;
}

Json ToJson(const client::PlanResult& plan) {
  Json json;
  json["dataBlockSizeSectors"] = plan.data_block_size_sectors;
  json["cacheBlocks"] = plan.cache_blocks;
  json["originBlocks"] = plan.origin_blocks;
  json["discardBlockSizeSectors"] = plan.discard_block_size_sectors;
  json["discardBlocks"] = plan.discard_blocks;
  json["metadataBytes"] = plan.metadata_bytes;
  json["recommendedMetadataBytes"] = plan.recommended_metadata_bytes;
  json["memoryBytes"] = plan.memory_bytes;
  json["warnings"] = plan.warnings;
  return json;
}

Json ToJson(const client::Cache& cache) {
  Json json;
  json["name"] = cache.name;
  json["state"] = Word(cache.state);
  json["metadataPath"] = cache.metadata_path;
  json["fastPath"] = cache.fast_path;
  json["originPath"] = cache.origin_path;
  json["dirtyTracking"] = Word(cache.dirty_tracking);
  json["lastError"] = cache.last_error;
  if (WasRead(cache)) AddContents(json, cache);
  return json;
}

Json ToJson(const client::MutationResult& result) {
  Json json;
  json["incarnation"] = FormatHex(result.incarnation);
  json["revision"] = result.revision;
  json["transaction"] = result.transaction;
  json["durableTransaction"] = result.durable_transaction;
  return json;
}

Json ToJson(const client::Reservation& reservation) {
  Json json;
  json["reservation"] = FormatHex(reservation.id);
  json["cblocks"] = reservation.cblocks;
  json["ttlMs"] = reservation.ttl_ms;
  json["incarnation"] = FormatHex(reservation.incarnation);
  return json;
}

Json ToJson(const client::Mapping& mapping) {
  Json json;
  json["cblock"] = mapping.cblock;
  json["oblock"] = mapping.oblock;
  json["dirty"] = mapping.dirty;
  if (mapping.dirty_stored && *mapping.dirty_stored != mapping.dirty) json["dirtyStored"] = *mapping.dirty_stored;
  if (mapping.hint) json["hint"] = *mapping.hint;
  return json;
}

Json ToJson(const client::BlockRange& range) {
  Json json;
  json["begin"] = range.begin;
  json["end"] = range.end;
  return json;
}

Json ToJson(const client::Hint& hint) {
  Json json;
  json["cblock"] = hint.cblock;
  json["hint"] = hint.value;
  return json;
}

Json ToJson(const client::Stats& stats) {
  Json json;
  json["readHits"] = stats.read_hits;
  json["readMisses"] = stats.read_misses;
  json["writeHits"] = stats.write_hits;
  json["writeMisses"] = stats.write_misses;
  return json;
}

Json ToJson(const absl::Status& status) {
  Json json;
  json["code"] = absl::StatusCodeToString(status.code());
  json["reason"] = client::ReasonOf(status);
  json["message"] = std::string(status.message());
  return json;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string Word(client::CacheState state) {
  switch (state) {
    case client::CacheState::kOpen:
      return "open";
    case client::CacheState::kReadOnly:
      return "read_only";
    case client::CacheState::kFailed:
      return "failed";
    case client::CacheState::kNeedsCheck:
      return "needs_check";
    case client::CacheState::kOpening:
      return "opening";
    case client::CacheState::kClosing:
      return "closing";
    case client::CacheState::kUnknown:
      break;
  }
  return "unknown";
}

std::string Word(client::DirtyTracking tracking) {
  switch (tracking) {
    case client::DirtyTracking::kExact:
      return "exact";
    case client::DirtyTracking::kConservative:
      return "conservative";
    case client::DirtyTracking::kDefault:
      break;
  }
  return "unknown";
}

std::string Word(client::Health health) {
  switch (health) {
    case client::Health::kServing:
      return "serving";
    case client::Health::kNotServing:
      return "not_serving";
    case client::Health::kServiceUnknown:
      return "service_unknown";
    case client::Health::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace dmcached::cli
