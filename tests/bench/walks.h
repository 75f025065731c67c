// What reads a whole file of metadata, timed.
#ifndef DMCACHED_TESTS_BENCH_WALKS_H_
#define DMCACHED_TESTS_BENCH_WALKS_H_

#include <string>

#include "core/base/clock.h"
#include "core/base/executor.h"

namespace dmcached::bench {

// All in seconds; the files are not open, and sound.

// An open for writing, as the daemon does it.
double OpenSeconds(const std::string& path, Executor& helpers);
// A check, as `dmcachectl check --offline` does it.
double CheckSeconds(const std::string& path, Executor& helpers);
// A list of all mappings through a snapshot; opening is not counted.
double ListSeconds(const std::string& path, Executor& helpers, const Clock& clock);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_WALKS_H_
