// A cache on a device in memory, and short names for what tests do with it.
#ifndef DMCACHED_TESTS_CORE_CACHE_CACHE_FIXTURE_H_
#define DMCACHED_TESTS_CORE_CACHE_CACHE_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"
#include "core/format/seal.h"
#include "core/store/block_set.h"
#include "tests/support/faulty_device.h"
#include "tests/support/matchers.h"

namespace dmcached {

// What is known of a mapping, for comparisons.
struct Mapped {
  uint64_t oblock;
  bool dirty;
  bool operator==(const Mapped&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Mapped& mapped) {
  return out << mapped.oblock << (mapped.dirty ? " dirty" : " clean");
}
using Mappings = std::map<uint32_t, Mapped>;

constexpr Sectors kBlockSize(64);  // Of cache blocks, unless a test says otherwise.

inline FormatParams Params(uint32_t version, uint32_t cache_blocks, uint64_t origin_blocks = 0) {
  FormatParams params;
  params.version = version;
  params.data_block_size = kBlockSize;
  params.cache_blocks = cache_blocks;
  params.origin_size = Sectors(origin_blocks * kBlockSize.value());
  return params;
}
inline OpenParams ReadOnly() {
  OpenParams params;
  params.read_only = true;
  return params;
}
inline OpenParams Conservative() {
  OpenParams params;
  params.dirty_tracking = DirtyTracking::kConservative;
  return params;
}
inline OpenParams AssumeUnclean() {
  OpenParams params;
  params.assume_unclean = true;
  return params;
}

// A cache on a FaultyDevice.  Every call goes the way the engine goes: RunWithBlocks under a mutex.
class TestCache {
 public:
  using Flags = absl::InlinedVector<bool, 8>;

  explicit TestCache(uint64_t metadata_blocks = 256)
      : device_(std::make_shared<FaultyDevice>(metadata_blocks * kMetadataBlockBytes)) {}
  explicit TestCache(std::span<const std::byte> image) : device_(std::make_shared<FaultyDevice>(image)) {}

  absl::Status Format(const FormatParams& params) {
    cache_.reset();
    auto cache = CacheMetadata::Format(device_, params, counters_);
    DMCACHED_RETURN_IF_ERROR(cache.status());
    cache_ = *std::move(cache);
    return absl::OkStatus();
  }
  absl::Status Format(uint32_t version, uint32_t cache_blocks, uint64_t origin_blocks = 0) {
    return Format(Params(version, cache_blocks, origin_blocks));
  }
  // Drops what is in memory (close without a commit, and abort) and opens again.
  absl::Status Open(const OpenParams& params = {}) {
    cache_.reset();
    auto cache = CacheMetadata::Open(device_, params, counters_);
    DMCACHED_RETURN_IF_ERROR(cache.status());
    cache_ = *std::move(cache);
    return absl::OkStatus();
  }
  void Close() { cache_.reset(); }

  CacheMetadata& operator*() { return *cache_; }
  CacheMetadata* operator->() { return cache_.get(); }
  FaultyDevice& device() { return *device_; }
  const CacheCounters& counters() const { return *counters_; }

  template <typename Op>
  auto Run(Op op) {
    return RunWithBlocks(mutex_, cache_->store(), std::move(op));
  }
  absl::Status Insert(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks, Flags dirty = {}) {
    const InsertMappings request = {
        .cblocks = cblocks, .oblocks = oblocks, .dirty = {dirty.data(), dirty.size()}, .reservation = std::nullopt};
    return Run([&](BlockSet& set) { return cache_->InsertMappings(request, set); });
  }
  absl::StatusOr<uint32_t> Remove(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks,
                                  bool discard_dirty = false) {
    RemoveMappings request;
    request.cblocks = cblocks;
    request.oblocks = oblocks;
    request.discard_dirty = discard_dirty;
    return Run([&](BlockSet& set) { return cache_->RemoveMappings(request, set); });
  }
  absl::StatusOr<uint32_t> RemoveRange(uint64_t begin, uint64_t end, bool discard_dirty = false) {
    RemoveMappings request;
    request.oblock_range = OblockRange{Oblock(begin), Oblock(end)};
    request.discard_dirty = discard_dirty;
    return Run([&](BlockSet& set) { return cache_->RemoveMappings(request, set); });
  }
  absl::Status MarkDirty(std::vector<uint32_t> cblocks) {
    return Run([&](BlockSet& set) { return cache_->MarkDirty({.cblocks = cblocks}, set); });
  }
  absl::Status ClearDirty(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks) {
    return Run([&](BlockSet& set) { return cache_->ClearDirty({.cblocks = cblocks, .oblocks = oblocks}, set); });
  }
  absl::Status SetDiscards(std::vector<DblockRange> ranges, bool discard_dirty = false) {
    return Run(
        [&](BlockSet& set) { return cache_->SetDiscards({.ranges = ranges, .discard_dirty = discard_dirty}, set); });
  }
  absl::Status ClearDiscards(std::vector<DblockRange> ranges) {
    return Run([&](BlockSet& set) { return cache_->ClearDiscards({.ranges = ranges}, set); });
  }
  absl::Status BeginHints(std::string name, PolicyVersion version = {2, 0, 0}, uint32_t hint_size = 4) {
    const dmcached::BeginHints request = {
        .policy_name = std::move(name), .policy_version = version, .hint_size_bytes = hint_size};
    return Run([&](BlockSet& set) { return cache_->BeginHints(request, set); });
  }
  absl::Status SaveHints(std::vector<uint32_t> cblocks, std::vector<uint32_t> hints) {
    return Run([&](BlockSet& set) { return cache_->SaveHints({.cblocks = cblocks, .hints = hints}, set); });
  }
  absl::Status Resize(std::optional<uint32_t> cache_blocks, std::optional<Sectors> origin_size = std::nullopt) {
    const dmcached::Resize request = {.cache_blocks = cache_blocks, .origin_size = origin_size};
    return Run([&](BlockSet& set) { return cache_->Resize(request, set); });
  }
  absl::Status ResizeDiscards(DiscardGeometry geometry) {
    return Run([&](BlockSet& set) { return cache_->ResizeDiscards(geometry, set); });
  }
  absl::Status Commit(bool clean = false) { return cache_->Commit(clean); }

  // Everything that is mapped, as load_mappings gives it.
  Mappings Load() {
    Mappings found;
    const absl::Status status = cache_->LoadMappings(std::nullopt, 0, [&](const LoadedMapping& m) {
      found[m.cblock.value()] = {m.oblock.value(), m.dirty};
      return absl::OkStatus();
    });
    EXPECT_THAT(status, IsOk());
    return found;
  }
  // Valid hints only.
  std::map<uint32_t, uint32_t> LoadHints(const std::optional<HintPolicy>& policy = std::nullopt,
                                         uint32_t hint_size = 4) {
    std::map<uint32_t, uint32_t> found;
    const absl::Status status = cache_->LoadMappings(policy, hint_size, [&](const LoadedMapping& m) {
      if (m.hint_valid) found[m.cblock.value()] = m.hint;
      return absl::OkStatus();
    });
    EXPECT_THAT(status, IsOk());
    return found;
  }
  std::vector<uint64_t> LoadDiscards() {
    std::vector<uint64_t> found;
    const absl::Status status = cache_->LoadDiscards([&](const DblockRange& range) {
      for (uint64_t i = range.begin.value(); i < range.end.value(); ++i) found.push_back(i);
      return absl::OkStatus();
    });
    EXPECT_THAT(status, IsOk());
    return found;
  }
  absl::StatusOr<std::vector<LookedUp>> LookupCblocks(std::vector<uint32_t> cblocks) {
    std::vector<LookedUp> out;
    const absl::Status status = Run([&](BlockSet& set) { return cache_->LookupCblocks(cblocks, set, out); });
    if (!status.ok()) return status;
    return out;
  }
  absl::StatusOr<std::vector<LookedUp>> LookupOblocks(std::vector<uint64_t> oblocks) {
    std::vector<LookedUp> out;
    const absl::Status status = Run([&](BlockSet& set) { return cache_->LookupOblocks(oblocks, set, out); });
    if (!status.ok()) return status;
    return out;
  }
  Superblock OnMedium() {
    const auto probed = CacheMetadata::Probe(*device_);
    EXPECT_THAT(probed, IsOk());
    return probed.ok() && probed->has_value() ? **probed : Superblock{};
  }

 private:
  std::shared_ptr<FaultyDevice> device_;
  std::shared_ptr<CacheCounters> counters_ = std::make_shared<CacheCounters>();
  std::unique_ptr<CacheMetadata> cache_;
  Mutex mutex_;
};

// Changes block 0 as a foreign writer might.
inline void PatchSuperblock(BlockDevice& device, const std::function<void(Superblock&)>& change) {
  AlignedBuffer block(kMetadataBlockBytes);
  ASSERT_THAT(device.Read(0, block.span()), IsOk());
  absl::StatusOr<Superblock> superblock = UnpackSuperblock(block.span());
  ASSERT_THAT(superblock, IsOk());
  change(*superblock);
  PackSuperblock(*superblock, block.span());
  ASSERT_THAT(device.Write(0, block.span()), IsOk());
  ASSERT_THAT(device.Flush(), IsOk());
}

// Changes block `index` of an array on the device, and seals it again.
inline void PatchArray(TestCache& cache, ArrayKind kind, uint64_t index,
                       const std::function<void(std::span<std::byte>)>& change, bool seal = true) {
  const MetadataBlock location(cache->store().array(kind).slot(index).location);
  AlignedBuffer block(kMetadataBlockBytes);
  ASSERT_THAT(cache.device().Read(BlockOffsetBytes(location), block.span()), IsOk());
  change(block.span());
  if (seal) SealBlock(BlockType::kArrayBlock, location, block.span());
  ASSERT_THAT(cache.device().Write(BlockOffsetBytes(location), block.span()), IsOk());
  ASSERT_THAT(cache.device().Flush(), IsOk());
}
// Word `i` of an array block.
inline std::byte* WordOf(std::span<std::byte> block, uint64_t i) {
  return block.data() + sizeof(DiskArrayBlockHeader) + i * sizeof(uint64_t);
}

class VersionTest : public testing::TestWithParam<uint32_t> {
 protected:
  uint32_t version() const { return GetParam(); }
};
#define DMCACHED_BOTH_VERSIONS(Suite)                                \
  INSTANTIATE_TEST_SUITE_P(Versions, Suite, testing::Values(1u, 2u), \
                           [](const auto& instance) { return absl::StrCat("V", instance.param); })

inline DblockRange Dblocks(uint64_t begin, uint64_t end) { return {Dblock(begin), Dblock(end)}; }

// Blocks that the superblock reaches, itself included.
inline uint64_t ReachableBlocks(Store& store) {
  uint64_t reachable = 3 + CeilDiv(store.metadata_blocks(), kEntriesPerBitmap);  // Superblock, index, overflow leaf.
  for (const ArrayKind kind : {ArrayKind::kMappings, ArrayKind::kDirty, ArrayKind::kDiscards, ArrayKind::kHints}) {
    if (store.has_array(kind)) reachable += store.array(kind).slots().size() + store.array(kind).index().node_count();
  }
  return reachable;
}

// The committed image opens without damage, leaks nothing, counts what it uses, and reads as the open cache does.
inline void ExpectSound(TestCache& cache) {
  const Mappings expected = cache.Load();
  TestCache reopened(cache.device().CrashImage(0));  // Only what was flushed.
  ASSERT_THAT(reopened.Open(ReadOnly()), IsOk());
  Store& store = reopened->store();
  EXPECT_THAT(store.damage(), IsOk());
  EXPECT_EQ(store.metadata_blocks() - store.free_metadata_blocks(), ReachableBlocks(store)) << "leaked blocks";
  EXPECT_EQ(reopened->superblock().space_map.allocated, ReachableBlocks(store));
  if (cache->changed()) return;
  Mappings found = reopened.Load();
  if (reopened->must_assume_all_dirty()) {  // Of an unclean image only the stored bits can be compared.
    const absl::Status status = reopened->LoadMappings(std::nullopt, 0, [&](const LoadedMapping& m) {
      found[m.cblock.value()].dirty = m.dirty_stored;
      return absl::OkStatus();
    });
    EXPECT_THAT(status, IsOk());
  }
  EXPECT_EQ(found, expected);
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CORE_CACHE_CACHE_FIXTURE_H_
