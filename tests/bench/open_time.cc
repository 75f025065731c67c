// A cold open beside a bare read of what it reads.
#include "absl/strings/str_cat.h"
#include "server/executor.h"
#include "tests/bench/cases.h"
#include "tests/bench/metadata_file.h"
#include "tests/bench/raw_read.h"
#include "tests/bench/walks.h"

namespace dmcached::bench {

void OpenTime(Run& run) {
  const auto millions = static_cast<uint32_t>(run.Work(10, 2));
  const MetadataFile file = NewMetadataFile(run, millions * 1000000);
  ThreadPool helpers("readers", 2, 1024);
  const Rounds rounds(run.Rounds(9), {[&] { return OpenSeconds(file.path, helpers) * 1e3; },
                                      [&] { return ReadAndChecksum(file.path, file.live_bytes) * 1e3; }});
  run.Compare(absl::StrCat("open, ", millions, "M mappings"), rounds, 0, 1, "ms", "read and checksum", AtMost(2.2));
}

}  // namespace dmcached::bench
