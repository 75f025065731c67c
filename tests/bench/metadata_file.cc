#include "tests/bench/metadata_file.h"

#include <numeric>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/cache/geometry.h"
#include "tests/bench/loaded_cache.h"

namespace dmcached::bench {

MetadataFile NewMetadataFile(Run& run, uint32_t cblocks, uint64_t origin_factor) {
  constexpr uint64_t kSpareBytes = 16 << 20;
  const uint64_t live = LiveMetadataBlocks(2, cblocks, 1 << 14, /*hints=*/false, 4096) * kMetadataBlockBytes;
  MetadataFile file = {.path = run.NewFile("metadata", 2 * live + kSpareBytes), .cblocks = cblocks, .live_bytes = 0};
  LoadedCache cache(OpenBenchDevice(file.path), 2, cblocks, cblocks, 64 << 20, origin_factor);
  std::vector<uint32_t> marks(4096);
  for (uint64_t begin = 0; begin + marks.size() <= cblocks; begin += 2 * marks.size()) {
    std::iota(marks.begin(), marks.end(), static_cast<uint32_t>(begin));
    cache.Mark(marks);
  }
  cache.Commit();
  const CacheMetadata& metadata = cache.metadata();
  file.live_bytes = (metadata.metadata_blocks() - metadata.free_metadata_blocks()) * kMetadataBlockBytes;
  return file;
}

std::unique_ptr<CacheMetadata> OpenMetadata(const std::string& path, Executor& helpers) {
  OpenParams params;
  params.executor = &helpers;
  absl::StatusOr<std::unique_ptr<CacheMetadata>> opened =
      CacheMetadata::Open(OpenBenchDevice(path), params, std::make_shared<CacheCounters>());
  if (!opened.ok()) GiveUp("open " + path + ": " + opened.status().ToString());
  return *std::move(opened);
}

}  // namespace dmcached::bench
