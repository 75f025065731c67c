// The other half of the memory case: this program again, in a process of its own.
#ifndef DMCACHED_TESTS_BENCH_MEMORY_H_
#define DMCACHED_TESTS_BENCH_MEMORY_H_

namespace dmcached::bench {

// The flag that main passes on to MemoryProbe.
inline constexpr char kMemoryProbe[] = "--memory-probe";

// Opens the metadata at `path` (null: opens nothing) and prints what this process has resident, and had at most.
int MemoryProbe(const char* path);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_MEMORY_H_
