// The least that reading metadata can cost: large O_DIRECT reads and a checksum of every block.
#ifndef DMCACHED_TESTS_BENCH_RAW_READ_H_
#define DMCACHED_TESTS_BENCH_RAW_READ_H_

#include <cstdint>
#include <string>

namespace dmcached::bench {

// Seconds to read the first `bytes` of a file and checksum them block by block, on two threads.
double ReadAndChecksum(const std::string& path, uint64_t bytes);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_RAW_READ_H_
