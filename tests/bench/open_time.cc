// A cold open beside a bare read of what it reads.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "core/base/huge_memory.h"
#include "core/cache/origin_index.h"
#include "server/executor.h"
#include "tests/bench/cases.h"
#include "tests/bench/metadata_file.h"
#include "tests/bench/raw_read.h"
#include "tests/bench/walks.h"

namespace dmcached::bench {
namespace {

// Of the index and of the scratch that fills it, which has a limit.
uint64_t NewBytes(uint32_t mappings) {
  constexpr uint64_t kScratchBytesPerMapping = 9;
  constexpr uint64_t kMostScratchBytes = 40 << 20;
  const auto index = static_cast<uint64_t>(OriginIndex::kBytesPerCacheBlock * mappings);
  return index + std::min(kScratchBytesPerMapping * mappings, kMostScratchBytes);
}

// Memory that nobody has used is cleared page by page, and on a virtual machine may have to come from the host first.
double TouchSeconds(uint64_t bytes) {
  constexpr uint64_t kPageBytes = 4096;
  const double begin = Now();
  const HugeMemory memory(bytes);
  for (uint64_t at = 0; at < bytes; at += kPageBytes) memory.data()[at] = std::byte{1};
  return Now() - begin;
}

}  // namespace

void OpenTime(Run& run) {
  const auto millions = static_cast<uint32_t>(run.Work(10, 2));
  const MetadataFile file = NewMetadataFile(run, millions * 1000000);
  ThreadPool helpers("readers", 2, 1024);
  const Rounds rounds(run.Rounds(9), {[&] { return OpenSeconds(file.path, helpers) * 1e3; },
                                      [&] { return ReadAndChecksum(file.path, file.live_bytes) * 1e3; },
                                      [&] { return TouchSeconds(NewBytes(file.cblocks)) * 1e3; }});
  run.Compare(absl::StrCat("open, ", millions, "M mappings"), rounds, 0, 1, "ms", "read and checksum", AtMost(2.2));
  run.Compare("  taking as much new memory, on one thread", rounds, 2, 1, "ms", "read and checksum");
}

}  // namespace dmcached::bench
