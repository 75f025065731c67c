#include "core/cache/snapshot_reader.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/bits.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/store/block_reader.h"

namespace dmcached {
namespace {

constexpr uint64_t kBitsPerBlock = uint64_t{kArrayWordsPerBlock} * kBitsPerWord;
// One page reads at most this many mapping blocks (1 MiB), however few entries pass its filter.
constexpr uint64_t kMaxBlocksPerPage = 256;

// Values of consecutive array blocks.
class Values {
 public:
  Values() = default;
  Values(std::vector<std::byte> bytes, uint64_t first_block, uint64_t per_block)
      : bytes_(std::move(bytes)), first_(first_block * per_block), per_block_(per_block) {}

  // Whether the array has an entry `index`; it is at or behind the first block.
  bool Has(uint64_t index) const {
    const uint64_t block = (index - first_) / per_block_;
    if ((block + 1) * kMetadataBlockBytes > bytes_.size()) return false;
    return (index - first_) % per_block_ < Header(block).nr_entries.load();
  }
  uint64_t Get64(uint64_t index) const { return LoadLe<uint64_t>(At(index, sizeof(Le64))); }
  uint32_t Get32(uint64_t index) const { return LoadLe<uint32_t>(At(index, sizeof(Le32))); }

 private:
  const DiskArrayBlockHeader& Header(uint64_t block) const {
    return DiskView<DiskArrayBlockHeader>(bytes_, block * kMetadataBlockBytes);
  }
  const std::byte* At(uint64_t index, uint64_t size) const {
    const uint64_t offset = index - first_;
    return &bytes_[offset / per_block_ * kMetadataBlockBytes + sizeof(DiskArrayBlockHeader) +
                   offset % per_block_ * size];
  }

  std::vector<std::byte> bytes_;
  uint64_t first_ = 0;
  uint64_t per_block_ = 1;
};

absl::Status TooShort(const char* what, uint64_t index) {
  return MakeError(Reason::kMetadataCorrupt, absl::StrCat("read entry ", index, " of the ", what, ": it ends before"));
}

}  // namespace

// Entries [begin, end), all of them in `mappings`.
struct SnapshotReader::Run {
  uint64_t begin = 0;
  uint64_t end = 0;
  Values mappings;
  Values dirty_words;
  Values hints;
  bool has_dirty_words = false;
  bool has_hints = false;

  bool Dirty(uint64_t cblock, uint64_t mapping) const {
    if (!has_dirty_words) return (mapping & kMappingFlagDirty) != 0;
    const uint64_t word = cblock / 64;
    return dirty_words.Has(word) && (dirty_words.Get64(word) >> (cblock % 64) & 1) != 0;
  }
  // A hint array may be shorter than the cache: there are no hints behind its end.
  bool HasHint(uint64_t cblock) const { return has_hints && hints.Has(cblock); }
  uint32_t Hint(uint64_t cblock) const { return HasHint(cblock) ? hints.Get32(cblock) : 0; }
};

SnapshotReader::SnapshotReader(Source source, const Clock& clock)
    : clock_(clock),
      superblock_(source.snapshot->superblock()),
      device_blocks_(source.device->size_bytes() / kMetadataBlockBytes),
      transaction_(source.snapshot->transaction()),
      incarnation_(source.incarnation),
      assume_all_dirty_(source.assume_all_dirty),
      on_damage_(std::move(source.on_damage)),
      device_(std::move(source.device)),
      snapshot_(std::move(source.snapshot)),
      last_read_(clock.Monotonic()) {}

absl::StatusOr<MappingPage> SnapshotReader::ReadMappings(const MappingFilter& filter, Cblock from, size_t max_items) {
  uint64_t begin = from.value();
  uint64_t end = superblock_.cache_blocks;
  if (filter.cblocks.has_value()) {
    begin = std::max<uint64_t>(begin, filter.cblocks->begin.value());
    end = std::min<uint64_t>(end, filter.cblocks->end.value());
  }
  MappingPage page;
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckHeld());
  if (begin >= end || max_items == 0) return page;
  const bool filtered = filter.dirty_only || filter.oblocks.has_value();
  const uint64_t blocks = filtered ? kMaxBlocksPerPage : max_items / kArrayWordsPerBlock + 2;
  const bool hints = HintsValid(filter.policy);
  DMCACHED_ASSIGN_OR_RETURN(const Run run, ReadRun(Cblock(static_cast<uint32_t>(begin)), end,
                                                   std::min(blocks, kMaxBlocksPerPage), true, hints));
  uint64_t cblock = run.begin;
  for (; cblock < run.end && page.cblocks.size() < max_items; ++cblock) {
    const uint64_t mapping = run.mappings.Get64(cblock);
    if ((mapping & kMappingFlagValid) == 0) continue;
    const Oblock oblock(mapping >> kMappingFlagBits);
    if (filter.oblocks.has_value() && (oblock < filter.oblocks->begin || oblock >= filter.oblocks->end)) continue;
    const bool stored = run.Dirty(cblock, mapping);
    const bool dirty = stored || assume_all_dirty_;
    if (filter.dirty_only && !dirty) continue;
    page.cblocks.push_back(static_cast<uint32_t>(cblock));
    page.oblocks.push_back(oblock.value());
    page.dirty.push_back(dirty ? 1 : 0);
    if (assume_all_dirty_) page.dirty_stored.push_back(stored ? 1 : 0);
    if (hints) page.hints.push_back(run.Hint(cblock));
  }
  if (cblock < end) page.next = Cblock(static_cast<uint32_t>(cblock));
  return page;
}

absl::StatusOr<HintPage> SnapshotReader::ReadHints(const std::optional<HintPolicy>& policy, Cblock from,
                                                   size_t max_items) {
  HintPage page;
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckHeld());
  const uint64_t end = superblock_.cache_blocks;
  if (!HintsValid(policy) || from.value() >= end || max_items == 0) return page;
  DMCACHED_ASSIGN_OR_RETURN(
      const Run run, ReadRun(from, end, std::min(max_items / kArrayWordsPerBlock + 2, kMaxBlocksPerPage), false, true));
  uint64_t cblock = run.begin;
  for (; cblock < run.end && page.cblocks.size() < max_items; ++cblock) {
    if ((run.mappings.Get64(cblock) & kMappingFlagValid) == 0 || !run.HasHint(cblock)) continue;
    page.cblocks.push_back(static_cast<uint32_t>(cblock));
    page.hints.push_back(run.Hint(cblock));
  }
  if (cblock < end) page.next = Cblock(static_cast<uint32_t>(cblock));
  return page;
}

absl::StatusOr<DiscardPage> SnapshotReader::ReadDiscards(Dblock from, size_t max_items) {
  DiscardPage page;
  MutexLock lock(mutex_);
  DMCACHED_RETURN_IF_ERROR(CheckHeld());
  const uint64_t bits = superblock_.discard_blocks;
  if (assume_all_dirty_ || from.value() >= bits || max_items == 0) return page;
  bool open = false;  // The last range goes on.
  for (uint64_t bit = from.value(); bit < bits;) {
    const uint64_t block = bit / kBitsPerBlock;
    DMCACHED_ASSIGN_OR_RETURN(std::vector<std::byte> bytes, ReadBlocks(ArrayKind::kDiscards, block, 1));
    const Values words(std::move(bytes), block, kArrayWordsPerBlock);
    const uint64_t block_end = std::min(bits, (block + 1) * kBitsPerBlock);
    while (bit < block_end) {
      if (!words.Has(bit / 64)) return Damaged(TooShort(ArrayKindName(ArrayKind::kDiscards), bit / 64));
      const uint64_t found = NextBit(words.Get64(bit / 64), bit % 64, /*set=*/!open);
      bit = bit - bit % 64 + found;
      if (found == 64 || bit >= block_end) continue;
      if (open) {
        page.ends.push_back(bit);
        if (page.begins.size() == max_items) {
          page.next = Dblock(bit);
          return page;
        }
      } else {
        page.begins.push_back(bit);
      }
      open = !open;
    }
  }
  if (open) page.ends.push_back(bits);
  return page;
}

void SnapshotReader::Detach() {
  MutexLock lock(mutex_);
  device_.reset();
  snapshot_.reset();
  while (raw_reads_ != 0) raw_reads_done_.Wait(mutex_);
}

void SnapshotReader::DetachIfIdle() {
  // Whoever holds the lock is reading: not idle.
  if (!mutex_.TryLock()) return;
  if (raw_reads_ == 0 && clock_.Monotonic() - last_read_ >= kSnapshotIdleTime) {
    device_.reset();
    snapshot_.reset();
  }
  mutex_.Unlock();
}

bool SnapshotReader::revoked() const {
  if (!mutex_.TryLock()) return false;
  const bool revoked = snapshot_ == nullptr || snapshot_->revoked();
  mutex_.Unlock();
  return revoked;
}

absl::Status SnapshotReader::ReadRaw(MetadataBlock first, std::span<std::byte> buffer) {
  std::shared_ptr<BlockDevice> device;
  {
    MutexLock lock(mutex_);
    DMCACHED_RETURN_IF_ERROR(CheckHeld());
    device = device_;
    ++raw_reads_;
  }
  const absl::Status read = device->Read(BlockOffsetBytes(first), buffer);
  device.reset();  // Before whoever waits for it is told.
  MutexLock lock(mutex_);
  last_read_ = clock_.Monotonic();
  if (--raw_reads_ == 0) raw_reads_done_.NotifyAll();
  return read;
}

absl::Status SnapshotReader::CheckUsable() const {
  MutexLock lock(mutex_);
  return CheckHeld();
}

absl::Status SnapshotReader::CheckHeld() const {
  if (device_ != nullptr && snapshot_ != nullptr && !snapshot_->revoked()) return absl::OkStatus();
  return MakeError(Reason::kSnapshotRevoked,
                   absl::StrCat("read the snapshot of transaction ", transaction_,
                                ": its blocks were needed, it was idle for too long, or the cache was closed"));
}

absl::StatusOr<std::vector<std::byte>> SnapshotReader::ReadBlocks(ArrayKind kind, uint64_t first, uint64_t count) {
  const std::vector<uint32_t>& directory = snapshot_->directory(kind);
  const uint64_t last = std::min<uint64_t>(first + count, directory.size());
  std::vector<std::byte> bytes(last > first ? (last - first) * kMetadataBlockBytes : 0);
  if (bytes.empty()) return bytes;
  last_read_ = clock_.Monotonic();
  const absl::Status read =
      ReadArrayBlocks(*device_, std::span(directory).subspan(first, last - first),
                      [&bytes](size_t i, std::span<const std::byte> block) {
                        std::memcpy(&bytes[i * kMetadataBlockBytes], block.data(), kMetadataBlockBytes);
                        return absl::OkStatus();
                      });
  last_read_ = clock_.Monotonic();
  // A revoked snapshot's blocks may be anything by now, damaged ones included.
  DMCACHED_RETURN_IF_ERROR(CheckHeld());
  DMCACHED_RETURN_IF_ERROR(Damaged(read));
  return bytes;
}

absl::Status SnapshotReader::Damaged(const absl::Status& status) const {
  if (HasReason(status, Reason::kMetadataCorrupt) && on_damage_) on_damage_(status);
  return status;
}

bool SnapshotReader::HintsValid(const std::optional<HintPolicy>& policy) const {
  if (assume_all_dirty_ || superblock_.hint_root.value() == 0 || superblock_.policy_hint_size != kHintBytes ||
      superblock_.policy_name.empty()) {
    return false;
  }
  return !policy.has_value() ||
         (policy->name == superblock_.policy_name && policy->version.major == superblock_.policy_version[0]);
}

absl::StatusOr<SnapshotReader::Run> SnapshotReader::ReadRun(Cblock from, uint64_t end, uint64_t max_blocks, bool dirty,
                                                            bool hints) {
  const uint64_t first = from.value() / kArrayWordsPerBlock;
  const uint64_t last = std::min(first + max_blocks, CeilDiv(end, kArrayWordsPerBlock));
  Run run;
  run.begin = from.value();
  run.end = std::min(end, last * kArrayWordsPerBlock);
  DMCACHED_ASSIGN_OR_RETURN(std::vector<std::byte> mappings, ReadBlocks(ArrayKind::kMappings, first, last - first));
  run.mappings = Values(std::move(mappings), first, kArrayWordsPerBlock);
  // Entries fill the blocks in order, so the last one of each block tells for all of it.
  for (uint64_t block = first; block < last; ++block) {
    const uint64_t index = std::min(run.end, (block + 1) * kArrayWordsPerBlock) - 1;
    if (!run.mappings.Has(index)) return Damaged(TooShort(ArrayKindName(ArrayKind::kMappings), index));
  }
  if (dirty && superblock_.version >= 2) {
    const uint64_t bits = run.begin / kBitsPerBlock;
    DMCACHED_ASSIGN_OR_RETURN(std::vector<std::byte> words,
                              ReadBlocks(ArrayKind::kDirty, bits, CeilDiv(run.end, kBitsPerBlock) - bits));
    run.dirty_words = Values(std::move(words), bits, kArrayWordsPerBlock);
    run.has_dirty_words = true;
    const uint64_t last_word = (run.end - 1) / kBitsPerWord;
    if (!run.dirty_words.Has(last_word)) return Damaged(TooShort(ArrayKindName(ArrayKind::kDirty), last_word));
  }
  if (hints) {
    const uint64_t block = run.begin / kHintsPerBlock;
    DMCACHED_ASSIGN_OR_RETURN(std::vector<std::byte> values,
                              ReadBlocks(ArrayKind::kHints, block, CeilDiv(run.end, kHintsPerBlock) - block));
    run.hints = Values(std::move(values), block, kHintsPerBlock);
    run.has_hints = true;
  }
  return run;
}

}  // namespace dmcached
