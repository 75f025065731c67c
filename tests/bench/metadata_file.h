// A file of metadata as a clean shutdown leaves it, for cases about opening, checking and listing.
#ifndef DMCACHED_TESTS_BENCH_METADATA_FILE_H_
#define DMCACHED_TESTS_BENCH_METADATA_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/executor.h"
#include "core/cache/cache_metadata.h"
#include "tests/bench/run.h"

namespace dmcached::bench {

struct MetadataFile {
  std::string path;
  uint32_t cblocks = 0;
  uint64_t live_bytes = 0;  // Blocks in use.
};

// Format 2, every cblock mapped and every other batch of them dirty, on a device of twice what is live.
MetadataFile NewMetadataFile(Run& run, uint32_t cblocks, uint64_t origin_factor = 2);

// Opens it for writing, as the daemon does; `helpers` are its threads for reads.
std::unique_ptr<CacheMetadata> OpenMetadata(const std::string& path, Executor& helpers);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_METADATA_FILE_H_
