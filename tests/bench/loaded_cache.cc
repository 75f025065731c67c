#include "tests/bench/loaded_cache.h"

#include <algorithm>
#include <numeric>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/device/file_device.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kBlockSectors = 128;

void Check(const char* what, const absl::Status& status) {
  if (!status.ok()) GiveUp(std::string(what) + ": " + status.ToString());
}
template <typename Value>
void Check(const char* what, const absl::StatusOr<Value>& result) {
  Check(what, result.status());
}

}  // namespace

std::shared_ptr<BlockDevice> OpenBenchDevice(const std::string& path, bool cached) {
  absl::StatusOr<std::unique_ptr<BlockDevice>> device =
      OpenFileDevice({.path = path, .read_only = cached, .cached = cached}, nullptr);
  Check("open", device);
  return *std::move(device);
}

LoadedCache::LoadedCache(std::shared_ptr<BlockDevice> device, uint32_t version, uint32_t cblocks, uint32_t mapped,
                         uint64_t block_cache_bytes, uint64_t origin_factor)
    : cblocks_(cblocks), origin_factor_(origin_factor) {
  FormatParams params;
  params.version = version;
  params.data_block_size = Sectors(kBlockSectors);
  params.cache_blocks = cblocks;
  params.origin_size = Sectors(cblocks * origin_factor * kBlockSectors);
  params.block_cache_bytes = block_cache_bytes;
  auto formatted = CacheMetadata::Format(std::move(device), params, std::make_shared<CacheCounters>());
  Check("format", formatted);
  metadata_ = *std::move(formatted);
  for (uint32_t begin = 0; begin < mapped; begin += kMaxItemsPerRequest) {
    const uint32_t end = static_cast<uint32_t>(std::min<uint64_t>(mapped, uint64_t{begin} + kMaxItemsPerRequest));
    std::vector<uint32_t> items(end - begin);
    std::iota(items.begin(), items.end(), begin);
    std::vector<uint64_t> oblocks;
    for (const uint32_t cblock : items) oblocks.push_back(OblockOf(cblock));
    Insert(items, oblocks);
    if (metadata_->under_memory_pressure()) Commit();
  }
  Commit();
}

template <typename Op>
void LoadedCache::Do(const char* what, Op op) {
  Check(what, RunWithBlocks(mutex_, metadata_->store(), std::move(op)));
}

void LoadedCache::Insert(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks) {
  const InsertMappings insert = {.cblocks = cblocks, .oblocks = oblocks, .dirty = {}, .reservation = {}};
  Do("insert", [&](BlockSet& set) { return metadata_->InsertMappings(insert, set); });
}

void LoadedCache::Remove(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks) {
  RemoveMappings remove;
  remove.cblocks = cblocks;
  remove.oblocks = oblocks;
  Do("remove", [&](BlockSet& set) { return metadata_->RemoveMappings(remove, set); });
}

void LoadedCache::Mark(std::span<const uint32_t> cblocks) {
  Do("mark", [&](BlockSet& set) { return metadata_->MarkDirty({cblocks}, set); });
}

void LoadedCache::Clear(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks) {
  Do("clear", [&](BlockSet& set) { return metadata_->ClearDirty({cblocks, oblocks}, set); });
}

void LoadedCache::LookupCblocks(std::span<const uint32_t> cblocks) {
  Do("look up", [&](BlockSet& set) { return metadata_->LookupCblocks(cblocks, set, found_); });
}

void LoadedCache::LookupOblocks(std::span<const uint64_t> oblocks) {
  Do("look up", [&](BlockSet& set) { return metadata_->LookupOblocks(oblocks, set, found_); });
}

void LoadedCache::Commit() { Check("commit", metadata_->Commit(/*clean=*/false)); }

}  // namespace dmcached::bench
