// A commit of 1000 random marks beside the same bytes, written contiguously with the same two flushes.
#include "absl/strings/str_cat.h"
#include "tests/bench/cases.h"
#include "tests/bench/committer.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kDeviceBytes = 128 << 20;

void OneVersion(Run& run, uint32_t version, double bound) {
  Committer committer(run, version, /*cblocks=*/1000000, kDeviceBytes, /*block_cache_bytes=*/256 << 20);
  for (int i = 0; i < 20; ++i) committer.Commit();
  ContiguousWriter plain(run, kDeviceBytes);
  const Rounds rounds(run.Rounds(201) * (run.quick() ? 20 : 1),
                      {[&] { return committer.Commit() * 1e6; }, [&] { return plain.Write(committer.bytes()) * 1e6; }});
  run.Compare(absl::StrCat("format ", version, ", 1000 marks"), rounds, 0, 1, "us", "the same bytes", AtMost(bound));
  run.Add(absl::StrCat("format ", version, ", Prepare + Finish, p99"), Quantile(committer.exclusive(), 0.99) * 1e3,
          "ms", AtMost(0.5));
}

}  // namespace

void CommitLatency(Run& run) {
  OneVersion(run, 2, 1.1);
  OneVersion(run, 1, 1.4);
}

}  // namespace dmcached::bench
