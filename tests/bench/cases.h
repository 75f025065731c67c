// The cases, one a file.
#ifndef DMCACHED_TESTS_BENCH_CASES_H_
#define DMCACHED_TESTS_BENCH_CASES_H_

#include "tests/bench/run.h"

namespace dmcached::bench {

void DurableMarks(Run& run);
void CommitLatency(Run& run);
void ApplyCost(Run& run);
void OriginLookup(Run& run);
void OpenTime(Run& run);
void MemoryUse(Run& run);
void CheckSpeed(Run& run);
void Operations(Run& run);
void Growth(Run& run);
void MutateSpeed(Run& run);
void UnaryLookup(Run& run);
void Callers(Run& run);
void LookupLatency(Run& run);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_CASES_H_
