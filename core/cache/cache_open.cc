// CacheMetadata: formatting a device, probing it, and the order of checks when it is opened.
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {
namespace {

constexpr uint64_t kCheckedBytes = 1u << 20;  // Of a device that is to be formatted.

absl::Status CheckEmpty(BlockDevice& device) {
  const uint64_t bytes = std::min(kCheckedBytes, device.size_bytes() / kMetadataBlockBytes * kMetadataBlockBytes);
  AlignedBuffer buffer(bytes);
  DMCACHED_RETURN_IF_ERROR(device.Read(0, buffer.span()));
  for (uint64_t offset = 0; offset < bytes; offset += kMetadataBlockBytes) {
    if (IsUnformatted(buffer.span().subspan(offset, kMetadataBlockBytes))) continue;
    return MakeError(Reason::kNotEmpty,
                     absl::StrCat(device.name(), " is not empty: block ", offset / kMetadataBlockBytes,
                                  " has data; force formats it all the same"));
  }
  return absl::OkStatus();
}

absl::Status ZeroSuperblock(BlockDevice& device) {
  const AlignedBuffer zeros(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device.Write(0, zeros.span()));
  return device.Flush();
}

absl::Status CheckFast(Sectors fast_size, uint64_t cache_blocks, Sectors block_size) {
  if (fast_size.value() == 0 || cache_blocks * block_size.value() <= fast_size.value()) return absl::OkStatus();
  return MakeError(Reason::kGeometryMismatch, absl::StrCat(cache_blocks, " cache blocks of ", block_size.value(),
                                                           " sectors need ", cache_blocks * block_size.value(),
                                                           " sectors, the fast device has ", fast_size.value()));
}

}  // namespace

absl::StatusOr<std::optional<Superblock>> CacheMetadata::Probe(BlockDevice& device) {
  if (device.size_bytes() < kMetadataBlockBytes) {
    return MakeError(Reason::kMetadataCorrupt,
                     absl::StrCat(device.name(), " has ", device.size_bytes(), " bytes, less than a metadata block"));
  }
  AlignedBuffer block(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device.Read(0, block.span()));
  if (IsUnformatted(block.span())) return std::optional<Superblock>();
  absl::StatusOr<Superblock> superblock = UnpackSuperblock(block.span());
  if (!superblock.ok()) return WithContext(superblock.status(), device.name());
  return std::optional<Superblock>(*std::move(superblock));
}

absl::Status CacheMetadata::CheckFormat(BlockDevice& device, const FormatParams& params) {
  if (params.version != 1 && params.version != 2) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat("metadata version ", params.version, "; 1 or 2 exist"));
  }
  DMCACHED_RETURN_IF_ERROR(CheckDataBlockSize(params.data_block_size));
  if (!params.policy_name.empty()) {
    DMCACHED_RETURN_IF_ERROR(CheckPolicyName(params.policy_name));
  }
  if (!params.identity.empty()) {
    DMCACHED_RETURN_IF_ERROR(CheckIdentity(params.identity));
  }
  DMCACHED_RETURN_IF_ERROR(CheckFast(params.fast_size, params.cache_blocks, params.data_block_size));
  const DiscardGeometry discards = ChooseDiscardGeometry(params.origin_size, params.data_block_size);
  const uint64_t blocks = std::min(device.size_bytes() / kMetadataBlockBytes, kMaxMetadataBlocks);
  const uint64_t live = LiveMetadataBlocks(params.version, params.cache_blocks, discards.blocks, false, blocks);
  // What Resize and the first commit want to have free besides: the empty arrays' index, and nodes of arrays to come.
  const uint64_t needed = live + kArrayKinds + IndexTree::NodeCountFor(CeilDiv(params.cache_blocks, kHintsPerBlock)) +
                          IndexTree::NodeCountFor(CeilDiv(params.cache_blocks, kBitsPerWord * kArrayWordsPerBlock));
  if (blocks < needed) {
    return MakeError(Reason::kMetadataNoSpace, absl::StrCat(device.name(), " has ", blocks, " metadata blocks, ",
                                                            params.cache_blocks, " cache blocks need ", needed));
  }
  return params.force ? absl::OkStatus() : CheckEmpty(device);
}

absl::StatusOr<std::unique_ptr<CacheMetadata>> CacheMetadata::Format(std::shared_ptr<BlockDevice> device,
                                                                     const FormatParams& params,
                                                                     std::shared_ptr<CacheCounters> counters) {
  DMCACHED_RETURN_IF_ERROR(CheckFormat(*device, params));
  // An older superblock must not survive next to blocks that are overwritten now.
  DMCACHED_RETURN_IF_ERROR(ZeroSuperblock(*device));
  auto cache = std::unique_ptr<CacheMetadata>(new CacheMetadata(std::move(device), std::move(counters)));
  DMCACHED_ASSIGN_OR_RETURN(cache->store_, Store::Format(cache->device_, params.version, params.block_cache_bytes));
  cache->superblock_.version = params.version;
  cache->superblock_.data_block_size = params.data_block_size;
  cache->superblock_.policy_name = params.policy_name;
  cache->superblock_.uuid = PackIdentity(params.identity);
  cache->dirty_tracking_ = params.dirty_tracking;
  cache->fast_size_ = params.fast_size;
  dmcached::Resize size = {.cache_blocks = params.cache_blocks, .origin_size = std::nullopt};
  if (params.origin_size.value() != 0) size.origin_size = params.origin_size;
  Mutex unshared;
  DMCACHED_RETURN_IF_ERROR(
      RunWithBlocks(unshared, *cache->store_, [&](BlockSet& set) { return cache->Resize(size, set); }));
  DMCACHED_RETURN_IF_ERROR(cache->Commit(false));
  return cache;
}

absl::Status CacheMetadata::CheckOpen(const OpenParams& params) const {
  DMCACHED_RETURN_IF_ERROR(CheckFeatures(superblock_, !params.read_only));
  if (!params.expected_identity.empty() && superblock_.identity() != params.expected_identity) {
    return MakeError(Reason::kIdentityMismatch, absl::StrCat("the metadata's identity is \"", superblock_.identity(),
                                                             "\", expected \"", params.expected_identity, "\""));
  }
  const uint64_t block_size = superblock_.data_block_size.value();
  if (params.expected_block_size.value() != 0 && block_size != params.expected_block_size.value()) {
    return MakeError(Reason::kGeometryMismatch,
                     absl::StrCat("the cache block size is ", block_size, " sectors, expected ",
                                  params.expected_block_size.value()));
  }
  if (superblock_.discard_blocks > 0 &&
      (superblock_.discard_block_size.value() == 0 || superblock_.discard_block_size.value() % block_size != 0 ||
       superblock_.discard_block_size.value() > kMaxOblocks || superblock_.discard_blocks > kMaxOblocks)) {
    return MakeError(Reason::kMetadataCorrupt,
                     absl::StrCat("superblock: ", superblock_.discard_blocks, " discard blocks of ",
                                  superblock_.discard_block_size.value(), " sectors, cache blocks of ", block_size));
  }
  if (params.fast_size.has_value()) {
    DMCACHED_RETURN_IF_ERROR(CheckFast(*params.fast_size, superblock_.cache_blocks, superblock_.data_block_size));
  }
  if (params.read_only || !superblock_.needs_check) return absl::OkStatus();
  return MakeError(Reason::kNeedsCheck, "the metadata's needs_check flag is set: it opens for writing after a check");
}

absl::StatusOr<std::unique_ptr<CacheMetadata>> CacheMetadata::Open(std::shared_ptr<BlockDevice> device,
                                                                   const OpenParams& params,
                                                                   std::shared_ptr<CacheCounters> counters) {
  const std::shared_ptr<CacheCounters> counted = counters;  // A failed open lets go of those it was given.
  absl::StatusOr<std::unique_ptr<CacheMetadata>> cache = OpenUncounted(std::move(device), params, std::move(counters));
  CountFailedCheck(cache.status(), *counted);
  return cache;
}

absl::StatusOr<std::unique_ptr<CacheMetadata>> CacheMetadata::OpenUncounted(std::shared_ptr<BlockDevice> device,
                                                                            const OpenParams& params,
                                                                            std::shared_ptr<CacheCounters> counters) {
  DMCACHED_ASSIGN_OR_RETURN(const std::optional<Superblock> superblock, Probe(*device));
  if (!superblock.has_value()) {
    return MakeError(Reason::kNotFormatted, absl::StrCat(device->name(), " is not formatted: block 0 is all zeros"));
  }
  auto cache = std::unique_ptr<CacheMetadata>(new CacheMetadata(std::move(device), std::move(counters)));
  cache->superblock_ = *superblock;
  DMCACHED_RETURN_IF_ERROR(cache->CheckOpen(params));
  cache->read_only_ = params.read_only;
  cache->dirty_tracking_ = params.dirty_tracking;
  cache->fast_size_ = params.fast_size.value_or(Sectors(0));
  cache->clean_when_opened_ = superblock->clean_shutdown && !params.assume_unclean;
  cache->assume_all_dirty_ = params.read_only && !cache->clean_when_opened_;
  cache->SetOrigin(params);
  DMCACHED_ASSIGN_OR_RETURN(cache->store_, Store::Load(cache->device_, *superblock, params.block_cache_bytes));
  if (params.read_only) {
    CountFailedCheck(cache->store_->damage(), *cache->counters_);
  } else {
    DMCACHED_RETURN_IF_ERROR(cache->store_->damage());
  }
  DMCACHED_RETURN_IF_ERROR(cache->LoadState(params.executor));
  if (!cache->clean_when_opened_) cache->counters_->unclean_opens.fetch_add(1, std::memory_order_relaxed);
  if (params.read_only) return cache;
  DMCACHED_RETURN_IF_ERROR(cache->BeginWriting(params.assume_unclean));
  if (!cache->clean_when_opened_) {
    DMCACHED_RETURN_IF_ERROR(cache->Adopt());
  }
  DMCACHED_RETURN_IF_ERROR(cache->FollowOrigin());
  return cache;
}

absl::Status CacheMetadata::FollowOrigin() {
  if (origin_size_.value() == 0) return absl::OkStatus();
  const DiscardGeometry geometry = ChooseDiscardGeometry(origin_size_, superblock_.data_block_size);
  if (geometry == DiscardGeometry{superblock_.discard_block_size, superblock_.discard_blocks}) return absl::OkStatus();
  // Whoever reads the metadata later takes the end of the discard geometry for the end of the origin.
  Mutex unshared;
  const absl::Status resized =
      RunWithBlocks(unshared, *store_, [&](BlockSet& set) { return ResizeDiscards(geometry, set); });
  // A full device opens all the same: a geometry that does not fit costs discards, nothing else.
  if (HasReason(resized, Reason::kMetadataNoSpace)) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(resized);
  return Commit(false);
}

void CacheMetadata::SetOrigin(const OpenParams& params) {
  const uint64_t block_size = superblock_.data_block_size.value();
  if (params.origin_size.has_value() && params.origin_size->value() != 0) {
    origin_size_ = *params.origin_size;
    oblock_end_ = std::min(kMaxOblocks, origin_size_.value() / block_size);
  } else if ((superblock_.clean_shutdown || !params.read_only) && superblock_.discard_blocks > 0) {
    // The geometry covers the origin, rounded up: as good a bound as the metadata holds.  Of unclean metadata it may be
    // an old one; but once adopted it is clean, and whoever reads it next takes it for the bound.
    const uint64_t per_dblock = superblock_.discard_block_size.value() / block_size;
    const uint64_t most = kMaxOblocks / per_dblock;
    oblock_end_ = superblock_.discard_blocks >= most ? kMaxOblocks : superblock_.discard_blocks * per_dblock;
  }
}

absl::Status CacheMetadata::BeginWriting(bool assume_unclean) {
  // What was read may not be on the medium yet: the process before may have been killed between writing block 0 and
  // flushing it.  Before this has succeeded no other block is written.
  if (assume_unclean || dirty_tracking_ == DirtyTracking::kConservative) superblock_.clean_shutdown = false;
  AlignedBuffer block(kMetadataBlockBytes);
  PackSuperblock(superblock_, block.span());
  DMCACHED_RETURN_IF_ERROR(device_->Write(0, block.span()));
  DMCACHED_RETURN_IF_ERROR(device_->Flush());
  store_->set_durable_superblock(superblock_);
  // An empty hint array under CLEAN_SHUTDOWN panics Linux 6.1: the next commit leaves it out.
  if (has_hints() && store_->array(ArrayKind::kHints).entries() == 0 && store_->CheckSpace(0).ok()) {
    store_->DropArray(ArrayKind::kHints);
    changed_ = true;
  }
  return absl::OkStatus();
}

}  // namespace dmcached
