// One open cache's metadata: every operation on mappings, dirty bits, discards, hints and statistics, for metadata
// versions 1 and 2, on top of the transactional store.
//
// Not thread-safe: its owner guards it with one mutex.  Operations that take a BlockSet do no I/O (see block_set.h):
// they validate the request whole, check that there is space, and only then apply it whole; on any error nothing of it
// happened.  There is no undo: after a failed commit the object is dropped and the metadata opened again.
//
// Errors that every mutation can meet: kFailedPrecondition (READ_ONLY, NEEDS_CHECK); kResourceExhausted
// (METADATA_NO_SPACE: commit, or revoke a snapshot, and try again); kDataLoss (METADATA_CORRUPT); kInternal (IO_ERROR).
// Source: core/README.md (invariants), core/format/README.md (bytes).
#ifndef DMCACHED_CORE_CACHE_CACHE_METADATA_H_
#define DMCACHED_CORE_CACHE_CACHE_METADATA_H_

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/executor.h"
#include "core/base/ids.h"
#include "core/cache/block_states.h"
#include "core/cache/cache_counters.h"
#include "core/cache/cache_info.h"
#include "core/cache/cache_snapshot.h"
#include "core/cache/claims.h"
#include "core/cache/dirty_words.h"
#include "core/cache/duplicate_finder.h"
#include "core/cache/geometry.h"
#include "core/cache/mapping_loader.h"
#include "core/cache/mutation.h"
#include "core/cache/origin_index.h"
#include "core/device/block_device.h"
#include "core/format/superblock.h"
#include "core/store/block_set.h"
#include "core/store/commit_batch.h"
#include "core/store/store.h"

namespace dmcached {

struct FormatParams {
  uint32_t version = 2;
  Sectors data_block_size;
  uint32_t cache_blocks = 0;
  Sectors origin_size;  // 0: unknown, no discard geometry.
  std::string policy_name;
  std::string identity;
  DirtyTracking dirty_tracking = DirtyTracking::kExact;
  uint64_t block_cache_bytes = 64u << 20;
  Sectors fast_size;   // 0: no fast device.
  bool force = false;  // Although the first MiB is not all zeros.
};

struct OpenParams {
  bool read_only = false;
  bool assume_unclean = false;
  DirtyTracking dirty_tracking = DirtyTracking::kExact;
  std::string expected_identity;       // Empty: any.
  Sectors expected_block_size;         // 0: any.
  std::optional<Sectors> origin_size;  // Of the origin device or as the caller says; bounds oblocks.
  std::optional<Sectors> fast_size;    // Of the fast device.
  uint64_t block_cache_bytes = 64u << 20;
  Executor* executor = nullptr;  // Helps to read; null: nobody does.
};

// One mapping as load_mappings gives it.
struct LoadedMapping {
  Cblock cblock;
  Oblock oblock;
  bool dirty;  // What must be assumed.
  bool dirty_stored;
  uint32_t hint;  // 0 unless hint_valid.
  bool hint_valid;
};

// One item of a look-up.
struct LookedUp {
  bool mapped = false;
  Cblock cblock;
  Oblock oblock;
  bool dirty = false;
  bool dirty_stored = false;
  uint32_t hint = 0;
};

// 1 to 15 printable characters.  Errors: kInvalidArgument (POLICY_INVALID).
absl::Status CheckPolicyName(const std::string& name);

class CacheMetadata {
 public:
  // Blocking: formats `device`, sizes the arrays, commits.  Checks everything before it writes.
  // Errors: kFailedPrecondition (NOT_EMPTY), kInvalidArgument (INVALID_REQUEST, POLICY_INVALID), kResourceExhausted
  // (METADATA_NO_SPACE), kInternal (IO_ERROR).
  static absl::StatusOr<std::unique_ptr<CacheMetadata>> Format(std::shared_ptr<BlockDevice> device,
                                                               const FormatParams& params,
                                                               std::shared_ptr<CacheCounters> counters);
  // What Format checks, without writing.
  static absl::Status CheckFormat(BlockDevice& device, const FormatParams& params);
  // Blocking: reads the metadata, checks what must hold, and for a writable open rewrites block 0, flushes, adopts
  // unclean metadata, and fits the discard geometry to an origin of known size.  Errors: kFailedPrecondition
  // (NOT_FORMATTED, IDENTITY_MISMATCH, GEOMETRY_MISMATCH, NEEDS_CHECK, UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE),
  // kDataLoss (METADATA_CORRUPT names the block), kInternal (IO_ERROR).
  static absl::StatusOr<std::unique_ptr<CacheMetadata>> Open(std::shared_ptr<BlockDevice> device,
                                                             const OpenParams& params,
                                                             std::shared_ptr<CacheCounters> counters);
  // Reads only the superblock; nothing if block 0 is all zeros.
  static absl::StatusOr<std::optional<Superblock>> Probe(BlockDevice& device);

  // --- Mutations.  Each is atomic.  `set` may come back incomplete: then nothing happened yet. ---

  // Applies any of them; the number of removed mappings for RemoveMappings, else 0.
  absl::StatusOr<uint32_t> Apply(const Mutation& mutation, BlockSet& set);
  // Errors: INVALID_REQUEST (an item twice, unequal columns), CBLOCK_OUT_OF_RANGE, OBLOCK_OUT_OF_RANGE, CBLOCK_IN_USE
  // (mapped in the running, committing or durable state), OBLOCK_ALREADY_MAPPED.  Reservations are the caller's.
  absl::Status InsertMappings(const dmcached::InsertMappings& request, BlockSet& set);
  absl::StatusOr<uint32_t> RemoveMappings(const dmcached::RemoveMappings& request, BlockSet& set);
  absl::Status MarkDirty(const dmcached::MarkDirty& request, BlockSet& set);
  absl::Status ClearDirty(const dmcached::ClearDirty& request, BlockSet& set);
  absl::Status SetDiscards(const dmcached::SetDiscards& request, BlockSet& set);
  absl::Status ClearDiscards(const dmcached::ClearDiscards& request, BlockSet& set);
  absl::Status BeginHints(const dmcached::BeginHints& request, BlockSet& set);
  absl::Status SaveHints(const dmcached::SaveHints& request, BlockSet& set);
  absl::Status SetStats(const dmcached::SetStats& request);
  // Cache blocks, origin size, or both.  Errors: DIRTY_BLOCKS, GEOMETRY_MISMATCH, INVALID_REQUEST.
  absl::Status Resize(const dmcached::Resize& request, BlockSet& set);
  // Discard geometry as given, whatever the origin (the seed's discard_bitset_resize).
  absl::Status ResizeDiscards(DiscardGeometry geometry, BlockSet& set);

  // --- Reads ---

  // In the order asked; `out` is as long as the request when the set is complete.
  absl::Status LookupCblocks(std::span<const uint32_t> cblocks, BlockSet& set, std::vector<LookedUp>& out);
  absl::Status LookupOblocks(std::span<const uint64_t> oblocks, BlockSet& set, std::vector<LookedUp>& out);
  // Whether look-ups and lists give hints for the stored policy.
  bool hints_valid() const;
  Stats stats() const;

  // --- Commit pipeline (store.h): Prepare and Finish under the mutex, CommitBatch::Write without. ---

  // Freezes the running transaction; the next one is open at once.  `clean`: CONSERVATIVE sets CLEAN_SHUTDOWN (EXACT
  // always does).  None may be in flight.  Errors: METADATA_NO_SPACE (never after a successful mutation).
  absl::StatusOr<std::unique_ptr<CommitBatch>> Prepare(bool clean);
  // The batch was written: it is the durable state now.
  void Finish(std::unique_ptr<CommitBatch> batch);
  // Prepare, Write and Finish in one; for opening, tests and offline tools.
  absl::Status Commit(bool clean);

  bool commit_in_flight() const { return store_->commit_in_flight(); }
  // Whether anything was applied since the last Prepare (the seed's changed_this_transaction).
  bool changed() const { return changed_; }
  // Whether CLEAN_SHUTDOWN is set on the medium or in the commit in flight.  In CONSERVATIVE a mutation may then be
  // acknowledged only when it is durable.
  bool clean_on_medium() const;
  // Whether CLEAN_SHUTDOWN will be on the medium once the commit in flight, if any, is durable.
  bool newest_commit_is_clean() const;
  // Frames that only this transaction needs take more than half of the block cache: commit now.
  bool under_memory_pressure() const { return store_->running_frames_over_half(); }
  // Both the running and the committing half are full: a writer waits.
  bool memory_exhausted() const { return store_->running_frames_over_half() && commit_in_flight(); }
  uint64_t transaction() const { return store_->transaction(); }
  uint64_t durable_transaction() const { return store_->durable_transaction(); }

  // Damage was met: the next commit sets NEEDS_CHECK, mutations are refused from now on.
  void SetNeedsCheck();
  // Takes it back (offline checker only; nothing else may have been applied).
  void ClearNeedsCheck();
  bool needs_check() const { return superblock_.needs_check; }
  bool read_only() const { return read_only_; }

  // --- Free cblocks ---

  // Not mapped in the running, committing or durable state.
  bool IsFree(Cblock cblock) const { return states_.IsFree(cblock); }
  // Calls `take` for free cblocks in ascending order, from a moving cursor on, until it returns false.
  void VisitFree(const std::function<bool(Cblock)>& take) { states_.VisitFree(take); }

  // --- Facts ---

  const Superblock& superblock() const { return superblock_; }
  DirtyTracking dirty_tracking() const { return dirty_tracking_; }
  uint32_t cache_blocks() const { return superblock_.cache_blocks; }
  uint32_t mapped_blocks() const { return states_.mapped_count(); }
  uint32_t dirty_blocks() const;
  uint32_t free_cblocks() const { return states_.free_count(); }
  uint64_t discarded_blocks() const;
  uint64_t metadata_blocks() const { return store_->metadata_blocks(); }
  uint64_t free_metadata_blocks() const { return store_->free_metadata_blocks(); }
  uint64_t held_metadata_blocks() const { return store_->held_metadata_blocks(); }
  // The size that bounds oblocks; 0: unknown.
  Sectors origin_size() const { return origin_size_; }
  // Opened read-only and unclean: every mapping counts as dirty, no hint or discard counts.
  bool must_assume_all_dirty() const { return assume_all_dirty_; }
  bool adopted() const { return adopted_; }
  bool clean_when_opened() const { return clean_when_opened_; }
  // Fills what the metadata knows of `info`.
  void Describe(CacheInfo& info) const;
  // Sets the gauges of the counters.
  void UpdateGauges() const;

  Store& store() { return *store_; }
  const std::shared_ptr<BlockDevice>& device() const { return device_; }

  // --- Whole walks (blocking; for tests and offline tools; snapshots serve callers) ---

  // In cblock order, hints judged for `policy` (nothing: the stored one).  The first error of `visit` ends it.
  absl::Status LoadMappings(const std::optional<HintPolicy>& policy, uint32_t hint_size,
                            const std::function<absl::Status(const LoadedMapping&)>& visit);
  // The discarded dblocks in order, as the longest ranges (none after an unclean open).  The first error of `visit`
  // ends it.
  absl::Status LoadDiscards(const std::function<absl::Status(const DblockRange&)>& visit);

 private:
  // Blocks that an operation had written in bulk, waiting to be put into arrays by its next round.
  struct BulkPlan {
    uint64_t owner = 0;  // BlockSet::id().
    std::array<std::vector<BulkBlock>, kArrayKinds> fresh;
    uint64_t discarded = 0;  // Bits set in the fresh discard bitset.
  };
  struct Geometry {  // What a resize makes.
    uint32_t cache_blocks = 0;
    DiscardGeometry discards;
    bool rebuild_discards = false;
    bool create_hints = false;  // An array of zeros in place of what is there.
  };

  CacheMetadata(std::shared_ptr<BlockDevice> device, std::shared_ptr<CacheCounters> counters)
      : device_(std::move(device)), counters_(std::move(counters)) {}

  // Opening (cache_open.cc, cache_load.cc, cache_adopt.cc).
  static absl::StatusOr<std::unique_ptr<CacheMetadata>> OpenUncounted(std::shared_ptr<BlockDevice> device,
                                                                      const OpenParams& params,
                                                                      std::shared_ptr<CacheCounters> counters);
  absl::Status CheckOpen(const OpenParams& params) const;
  void SetOrigin(const OpenParams& params);
  absl::Status LoadState(Executor* executor);
  absl::Status LoadMappings(Executor* executor);
  void TakeLoaded(const MappingLoader& loader);
  // A block that the loader left out.
  absl::Status LoadMappingBlock(uint64_t block, std::span<const std::byte> bytes, MappingLoader& loader,
                                bool first_pass);
  uint64_t known_mapping_flags() const {
    return superblock_.version == 1 ? kMappingFlagValid | kMappingFlagDirty : kMappingFlagValid;
  }
  absl::Status LoadDirtyBits();
  absl::Status CountDiscards();
  // Reads every block of an array; on a read-only open damaged ones are noted and passed over.
  absl::Status WalkArray(ArrayKind kind,
                         const std::function<absl::Status(uint64_t, std::span<const std::byte>)>& visit);
  // The same for some of them, in ascending order.
  absl::Status WalkBlocks(ArrayKind kind, std::span<const uint64_t> blocks,
                          const std::function<absl::Status(uint64_t, std::span<const std::byte>)>& visit);
  absl::Status NoteDamage(const absl::Status& status);
  absl::Status BeginWriting(bool assume_unclean);
  // The origin may have another size than the discard geometry was made for.
  absl::Status FollowOrigin();
  absl::Status Adopt();
  absl::Status AdoptDirty(ArrayKind kind);
  absl::Status RewriteDirty(ArrayKind kind, uint64_t begin, uint64_t end);
  absl::Status DropStaleDiscards();

  // Shared by operations.
  absl::Status CheckWritable() const;
  absl::Status CheckCblock(uint32_t cblock, uint64_t item) const {
    return cblock < superblock_.cache_blocks ? absl::OkStatus() : CblockOutOfRange(cblock, item);
  }
  absl::Status CheckOblock(uint64_t oblock, uint64_t item) const {
    return oblock < oblock_end_ ? absl::OkStatus() : OblockOutOfRange(oblock, item);
  }
  absl::Status CblockOutOfRange(uint32_t cblock, uint64_t item) const;
  absl::Status CblockTwice(uint32_t cblock, uint64_t item) const;
  absl::Status OblockOutOfRange(uint64_t oblock, uint64_t item) const;
  absl::Status CheckColumns(size_t items, size_t others, const char* what) const;
  // Whether `cblock` maps `oblock`, as far as resident blocks tell; if not, NotPaired says why.
  bool IsPair(uint32_t cblock, uint64_t oblock, BlockSet& set);
  absl::Status NotPaired(uint32_t cblock, uint64_t oblock, uint64_t item) const;
  bool ReadMapping(uint32_t cblock, BlockSet& set);
  uint64_t MappingWord(uint32_t cblock) const { return store_->array(ArrayKind::kMappings).Word(cblock); }
  // Whether a resident block says that `cblock` maps `oblock`.
  bool MapsTo(Cblock cblock, Oblock oblock, BlockSet& set);
  // `hash`: OriginIndex::Hash of it.
  std::optional<Cblock> FindOblock(Oblock oblock, uint64_t hash, BlockSet& set);
  // Calls `visit(cblock, oblock)` for what is mapped in `range`; reads as little as it can.
  absl::Status VisitMappedIn(OblockRange range, bool dirty_only, BlockSet& set,
                             const std::function<absl::Status(uint32_t, Oblock)>& visit);
  std::byte* WritableWord(PackedArray& array, uint64_t entry);
  void SetWord(PackedArray& array, uint64_t entry, uint64_t word);
  // Counts what was applied.  Bits that were as asked already change nothing that a commit must write.
  void Applied(MutationOp op, uint64_t items, const BlockSet& set);

  DirtyWords dirty_words();
  absl::Status NotMarkable(uint32_t cblock, uint64_t item) const;
  // Inserting and removing (cache_mappings.cc).
  absl::Status CheckDistinct(std::span<const uint64_t> oblocks);
  absl::Status CheckInsertion(const dmcached::InsertMappings& request, Claims& claims, BlockSet& set);
  absl::Status NotInsertable(const dmcached::InsertMappings& request, size_t i) const;
  void ApplyInsertion(const dmcached::InsertMappings& request, const BlockSet& set);
  absl::Status DirtyRemoval(uint32_t cblock, uint64_t item) const;
  absl::Status CheckRemoval(uint32_t cblock, bool discard_dirty, uint64_t item, BlockSet& set);
  absl::Status CollectRange(const dmcached::RemoveMappings& request, BlockSet& set);
  absl::Status CheckRemovals(const dmcached::RemoveMappings& request, BlockSet& set);
  void ApplyRemoval(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks, const BlockSet& set);

  // Fetches what an item will need (cache_items.h): its bits in memory and the mapping.  The cblock may be out of
  // range.
  void PrefetchMapping(uint32_t cblock) const;

  // Looking up (cache_mappings.cc).
  void FillLookedUp(uint32_t cblock, bool with_hints, BlockSet& set, LookedUp& found);

  // Discards (cache_discards.cc).
  uint64_t OblocksPerDblock() const;
  uint64_t DblockOf(Oblock oblock) const { return oblock.value() / OblocksPerDblock(); }
  bool NameDiscardOf(Oblock oblock, BlockSet& set);
  void ClearDiscardOf(Oblock oblock);
  absl::Status CheckDiscardRanges(std::span<const DblockRange> ranges) const;
  void NameDiscardRanges(std::span<const DblockRange> ranges, bool set_bits, BlockSet& set);
  void WriteDiscardRanges(std::span<const DblockRange> ranges, bool set_bits);
  absl::Status CheckNoDirtyUnder(std::span<const DblockRange> asked, std::span<const DblockRange> merged,
                                 BlockSet& set);
  bool DiscardBit(uint64_t dblock) const;

  // Resizing and hints (cache_resize.cc, cache_hints.cc).
  absl::Status CheckShrink(uint32_t cache_blocks) const;
  absl::Status CheckOriginShrink(Sectors origin_size, BlockSet& set);
  absl::Status Reshape(const Geometry& geometry, BlockSet& set);
  void NameReshape(const Geometry& geometry, BlockSet& set);
  absl::Status PlanBulk(const Geometry& geometry, BlockSet& set);
  void PlanGrowth(ArrayKind kind, uint64_t old_entries, uint64_t entries, BulkPlan& plan);
  void PlanDiscards(const DiscardGeometry& geometry, BulkPlan& plan);
  uint64_t FreshBlocks(const Geometry& geometry) const;
  uint64_t FreshNodes(const Geometry& geometry) const;
  void ApplyReshape(const Geometry& geometry, BulkPlan plan);
  void ResizeOne(ArrayKind kind, uint64_t entries, const std::vector<BulkBlock>& fresh);
  void ClearTail(uint64_t kept_bits);
  void AbandonBulk(const BlockSet* unless);
  bool has_hints() const { return store_->has_array(ArrayKind::kHints); }

  std::shared_ptr<BlockDevice> device_;
  std::shared_ptr<CacheCounters> counters_;
  std::unique_ptr<Store> store_;
  Superblock superblock_;
  DirtyTracking dirty_tracking_ = DirtyTracking::kExact;
  bool read_only_ = false;
  bool clean_when_opened_ = true;
  bool assume_all_dirty_ = false;
  bool adopted_ = false;
  bool adopting_ = false;          // Between the commits of an adoption: CLEAN_SHUTDOWN stays clear.
  bool damaged_mappings_ = false;  // Read-only open: some block of an array cannot be read.
  bool changed_ = false;
  bool clean_committing_ = false;
  Sectors origin_size_;
  Sectors fast_size_;
  uint64_t oblock_end_ = kMaxOblocks;
  uint64_t mapped_end_ = 0;  // No mapping since the open was at or above this oblock.
  uint64_t discarded_ = 0;   // Bits set.
  BlockStates states_;
  OriginIndex origin_index_;
  DuplicateFinder duplicates_;
  std::optional<BulkPlan> bulk_;
  std::vector<uint32_t> range_cblocks_;  // Of a removal by range, kept between its rounds.
  std::vector<uint64_t> range_oblocks_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_METADATA_H_
