// The least that reading metadata can cost: large reads and a checksum of every block.
#ifndef DMCACHED_TESTS_BENCH_RAW_READ_H_
#define DMCACHED_TESTS_BENCH_RAW_READ_H_

#include <cstdint>
#include <string>

namespace dmcached::bench {

// Seconds to read the first `bytes` of a file and checksum them block by block, on two threads; with O_DIRECT unless
// the page cache is to be used.
double ReadAndChecksum(const std::string& path, uint64_t bytes, bool cached = false);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_RAW_READ_H_
