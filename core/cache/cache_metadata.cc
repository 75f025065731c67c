#include "core/cache/cache_metadata.h"

#include <atomic>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_items.h"
#include "core/format/layout.h"

namespace dmcached {

absl::Status CacheMetadata::CheckWritable() const {
  if (read_only_) return MakeError(Reason::kReadOnly, "the cache is open read-only");
  if (superblock_.needs_check) {
    return MakeError(Reason::kNeedsCheck, "damaged metadata was met: the cache takes no changes before a check");
  }
  return absl::OkStatus();
}

absl::Status CacheMetadata::CblockOutOfRange(uint32_t cblock, uint64_t item) const {
  return MakeItemError(
      Reason::kCblockOutOfRange, item,
      absl::StrCat("item ", item, ": cblock ", cblock, " of a cache of ", superblock_.cache_blocks, " blocks"));
}

absl::Status CacheMetadata::CblockTwice(uint32_t cblock, uint64_t item) const {
  return MakeItemError(Reason::kInvalidRequest, item,
                       absl::StrCat("item ", item, ": cblock ", cblock, " is twice in the request"));
}

absl::Status CacheMetadata::OblockOutOfRange(uint64_t oblock, uint64_t item) const {
  return MakeItemError(Reason::kOblockOutOfRange, item,
                       absl::StrCat("item ", item, ": oblock ", oblock, " of an origin of ", oblock_end_, " blocks"));
}

absl::Status CacheMetadata::CheckColumns(size_t items, size_t others, const char* what) const {
  if (items != others) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat(items, " cblocks, but ", others, " ", what));
  }
  if (items <= kMaxItemsPerRequest) return absl::OkStatus();
  return MakeError(Reason::kTooManyItems,
                   absl::StrCat(items, " items in one request; at most ", kMaxItemsPerRequest, " are taken"));
}

absl::Status CacheMetadata::NotPaired(uint32_t cblock, uint64_t oblock, uint64_t item) const {
  DMCACHED_RETURN_IF_ERROR(CheckCblock(cblock, item));
  DMCACHED_RETURN_IF_ERROR(CheckOblock(oblock, item));
  if (!states_.mapped(cblock)) {
    return MakeItemError(Reason::kNotMapped, item, absl::StrCat("item ", item, ": cblock ", cblock, " is not mapped"));
  }
  return MakeItemError(Reason::kNotMapped, item,
                       absl::StrCat("item ", item, ": cblock ", cblock, " is mapped to oblock ",
                                    MappingWord(cblock) >> kMappingFlagBits, ", not to ", oblock));
}

absl::Status CacheMetadata::VisitMappedIn(OblockRange range, bool dirty_only, BlockSet& set,
                                          const std::function<absl::Status(uint32_t, Oblock)>& visit) {
  const uint64_t end = std::min(range.end.value(), oblock_end_);
  const uint64_t candidates = dirty_only ? states_.dirty_count() : states_.mapped_count();
  if (range.begin.value() >= end || candidates == 0) return absl::OkStatus();
  if (end - range.begin.value() <= candidates) {
    for (uint64_t oblock = range.begin.value(); oblock < end; ++oblock) {
      const std::optional<Cblock> cblock = FindOblock(Oblock(oblock), OriginIndex::Hash(Oblock(oblock)), set);
      if (!cblock.has_value() || (dirty_only && !states_.dirty(cblock->value()))) continue;
      DMCACHED_RETURN_IF_ERROR(visit(cblock->value(), Oblock(oblock)));
    }
    return absl::OkStatus();
  }
  absl::Status status;
  states_.VisitMapped(dirty_only, [&](uint32_t cblock) {
    if (!ReadMapping(cblock, set)) return true;
    const uint64_t oblock = MappingWord(cblock) >> kMappingFlagBits;
    if (oblock >= range.begin.value() && oblock < end) status = visit(cblock, Oblock(oblock));
    return status.ok();
  });
  return status;
}

void CacheMetadata::Applied(MutationOp op, uint64_t items, const BlockSet& set) {
  counters_->mutations[static_cast<size_t>(op)].fetch_add(items, std::memory_order_relaxed);
  // A block that this transaction changed before needs no copy, but then `changed_` is set already.
  if (set.copies() > 0) changed_ = true;
}

absl::StatusOr<uint32_t> CacheMetadata::Apply(const Mutation& mutation, BlockSet& set) {
  AbandonBulk(&set);
  struct Visitor {
    CacheMetadata& cache;
    BlockSet& set;
    using Result = absl::StatusOr<uint32_t>;
    static Result None(const absl::Status& status) { return status.ok() ? Result(0) : Result(status); }
    Result operator()(const dmcached::InsertMappings& m) { return None(cache.InsertMappings(m, set)); }
    Result operator()(const dmcached::RemoveMappings& m) { return cache.RemoveMappings(m, set); }
    Result operator()(const dmcached::MarkDirty& m) { return None(cache.MarkDirty(m, set)); }
    Result operator()(const dmcached::ClearDirty& m) { return None(cache.ClearDirty(m, set)); }
    Result operator()(const dmcached::SetDiscards& m) { return None(cache.SetDiscards(m, set)); }
    Result operator()(const dmcached::ClearDiscards& m) { return None(cache.ClearDiscards(m, set)); }
    Result operator()(const dmcached::BeginHints& m) { return None(cache.BeginHints(m, set)); }
    Result operator()(const dmcached::SaveHints& m) { return None(cache.SaveHints(m, set)); }
    Result operator()(const dmcached::SetStats& m) { return None(cache.SetStats(m)); }
    Result operator()(const dmcached::Resize& m) { return None(cache.Resize(m, set)); }
  };
  return std::visit(Visitor{*this, set}, mutation);
}

absl::Status CacheMetadata::SetStats(const dmcached::SetStats& request) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  superblock_.read_hits = request.stats.read_hits;
  superblock_.read_misses = request.stats.read_misses;
  superblock_.write_hits = request.stats.write_hits;
  superblock_.write_misses = request.stats.write_misses;
  changed_ = true;
  return absl::OkStatus();
}

Stats CacheMetadata::stats() const {
  return {.read_hits = superblock_.read_hits,
          .read_misses = superblock_.read_misses,
          .write_hits = superblock_.write_hits,
          .write_misses = superblock_.write_misses};
}

absl::StatusOr<std::unique_ptr<CommitBatch>> CacheMetadata::Prepare(bool clean) {
  AbandonBulk(nullptr);
  superblock_.clean_shutdown = !adopting_ && (dirty_tracking_ == DirtyTracking::kExact || clean);
  absl::StatusOr<std::unique_ptr<CommitBatch>> batch = store_->Prepare(superblock_);
  if (!batch.ok()) return batch;
  clean_committing_ = superblock_.clean_shutdown;
  states_.Prepare();
  changed_ = false;
  return batch;
}

void CacheMetadata::Finish(std::unique_ptr<CommitBatch> batch) {
  store_->Finish(std::move(batch));
  states_.Finish();
  clean_committing_ = false;
}

absl::Status CacheMetadata::Commit(bool clean) {
  DMCACHED_ASSIGN_OR_RETURN(std::unique_ptr<CommitBatch> batch, Prepare(clean));
  const std::atomic<bool> stop = false;
  DMCACHED_RETURN_IF_ERROR(batch->Write(*device_, stop));
  Finish(std::move(batch));
  return absl::OkStatus();
}

bool CacheMetadata::clean_on_medium() const { return clean_committing_ || store_->durable_superblock().clean_shutdown; }

bool CacheMetadata::newest_commit_is_clean() const {
  return store_->commit_in_flight() ? clean_committing_ : store_->durable_superblock().clean_shutdown;
}

void CacheMetadata::SetNeedsCheck() {
  superblock_.needs_check = true;
  changed_ = true;
}

void CacheMetadata::ClearNeedsCheck() {
  superblock_.needs_check = false;
  changed_ = true;
}

uint32_t CacheMetadata::dirty_blocks() const {
  return assume_all_dirty_ ? states_.mapped_count() : states_.dirty_count();
}

uint64_t CacheMetadata::discarded_blocks() const { return assume_all_dirty_ ? 0 : discarded_; }

void CacheMetadata::Describe(CacheInfo& info) const {
  info.superblock = superblock_;
  info.superblock.clean_shutdown = store_->durable_superblock().clean_shutdown;
  info.dirty_tracking = dirty_tracking_;
  info.mapped_blocks = mapped_blocks();
  info.dirty_blocks = dirty_blocks();
  info.free_blocks = free_cblocks();
  info.discarded_blocks = discarded_blocks();
  info.metadata_device_bytes = device_->size_bytes();
  info.metadata_blocks = metadata_blocks();
  info.free_metadata_blocks = free_metadata_blocks();
  info.held_metadata_blocks = held_metadata_blocks();
  info.direct_io = device_->direct_io();
  info.transaction = transaction();
  info.durable_transaction = durable_transaction();
  info.uncommitted_changes = changed_ || commit_in_flight();
  info.must_assume_all_dirty = assume_all_dirty_;
  info.origin_size = origin_size_;
  info.fast_size = fast_size_;
}

void CacheMetadata::UpdateGauges() const {
  CacheCounters& c = *counters_;
  const uint64_t block_bytes = superblock_.data_block_size.value() * kSectorBytes;
  c.block_cache_hits = store_->block_hits();
  c.block_cache_misses = store_->block_misses();
  c.block_cache_bytes = store_->cache().bytes();
  c.mapped_blocks = mapped_blocks();
  c.dirty_blocks = dirty_blocks();
  c.cache_blocks = cache_blocks();
  c.discarded_bytes = discarded_blocks() * superblock_.discard_block_size.value() * kSectorBytes;
  c.block_size_bytes = block_bytes;
  c.cache_size_bytes = cache_blocks() * block_bytes;
  c.origin_size_bytes = origin_size_.value() * kSectorBytes;
  c.metadata_size_bytes = metadata_blocks() * kMetadataBlockBytes;
  c.metadata_free_bytes = free_metadata_blocks() * kMetadataBlockBytes;
  c.metadata_held_bytes = held_metadata_blocks() * kMetadataBlockBytes;
  c.transaction = transaction();
  c.durable_transaction = durable_transaction();
  c.read_hits = superblock_.read_hits;
  c.read_misses = superblock_.read_misses;
  c.write_hits = superblock_.write_hits;
  c.write_misses = superblock_.write_misses;
}

}  // namespace dmcached
