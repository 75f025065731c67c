// Caches that go back and forth between dmcached and the kernel.
//
// Each of twelve caches keeps its metadata through all handovers, six of each metadata version.  In every handover a
// cache is opened by dmcached (or created), compared, changed, and closed or left to a kill -9; then one boot of the
// guest activates all of them, each for another kind of work, and the result is compared with what was predicted.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_HANDOVERS_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_HANDOVERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tests/interop/kernel/caller.h"
#include "tests/interop/kernel/daemon.h"
#include "tests/interop/kernel/findings.h"
#include "tests/interop/kernel/kernel_task.h"
#include "tests/support/cache_contents.h"
#include "tests/support/image_walker.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

namespace dmcached {

struct HandoverFigures {
  uint64_t boots = 0;
  uint64_t activations = 0;
  uint64_t power_cuts = 0;
  uint64_t daemon_kills = 0;
  uint64_t marks_under_kill = 0;  // Durable marks answered while a kill was coming.
  uint64_t clean_closes = 0;
  uint64_t adoptions = 0;
  uint64_t mapped_blocks = 0;  // That the kernel found, over all activations.
  uint64_t dirty_blocks = 0;
  uint64_t written_back = 0;      // By the cleaner policy.
  uint64_t not_written_back = 0;  // Because they were discarded.
};

class Handovers {  // Not thread-safe.
 public:
  // `system_folder` was filled by setup.sh.
  Handovers(std::string system_folder, uint64_t seed, Findings& findings);

  // From dmcached to the kernel and back.  Differences go to the findings.
  // Errors: the guest could not be run to its end.
  absl::Status Next();
  // dmcached opens what the kernel left last, compares it and closes.
  void Finish();

  const HandoverFigures& figures() const { return figures_; }

 private:
  static constexpr uint32_t kCaches = 12;

  KernelWork WorkOf(uint32_t cache) const;
  void SetContext(uint32_t cache, const std::string& stage);
  void OpenAll(client::Client& client);
  // Open when the daemon is killed, instead of closed before.
  bool IsKilled(uint32_t cache) const { return (cache + round_) % 2 == 0; }
  void ServiceHasIt();
  // Kills the daemon while callers wait for their marks to be durable.
  void CrashUnderLoad(Daemon& daemon);
  // What is in the cache's metadata file.  The checker has nothing against it, whoever wrote it and however that ended.
  WalkedImage Judge(uint32_t cache);
  void CompareClosed();
  void Count(const CacheContents& before, KernelWork work);
  absl::Status KernelHasIt();

  const std::string system_folder_;
  Random random_;
  Findings& findings_;
  TempDir folder_;
  DataDisks disks_;
  std::vector<Caller> callers_;
  std::vector<CacheContents> media_;  // As the kernel left them.
  uint16_t round_ = 0;
  HandoverFigures figures_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_HANDOVERS_H_
