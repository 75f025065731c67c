// What the list and look-up rpcs run, on a cache whose bytes may be anything: filters, cursors and blocks are the
// fuzzer's.
#ifndef DMCACHED_TESTS_FUZZ_METADATA_READS_H_
#define DMCACHED_TESTS_FUZZ_METADATA_READS_H_

#include <fuzzer/FuzzedDataProvider.h>

#include "core/cache/cache_metadata.h"

namespace dmcached {

// Mappings, hints and discards of a snapshot, page by page.
void ListMetadata(CacheMetadata& cache, FuzzedDataProvider& data);
void LookUpBlocks(CacheMetadata& cache, FuzzedDataProvider& data);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FUZZ_METADATA_READS_H_
