// One activation of one cache by the kernel: the data under it, what the kernel is asked to do, and what must have come
// of it.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_KERNEL_TASK_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_KERNEL_TASK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/interop/kernel/data_disk.h"
#include "tests/interop/kernel/findings.h"
#include "tests/interop/kernel/status_line.h"
#include "tests/support/cache_contents.h"
#include "tests/support/random.h"

namespace dmcached {

enum class KernelWork {
  kHold,    // Activates and deactivates: nothing but hints may change, and those by little.
  kRead,    // Reads every block.
  kClean,   // The cleaner policy writes every dirty block back, but for discarded ones.
  kWrite,   // Writes and discards through the cache.
  kResize,  // Activates on a longer or shorter fast device.
  kCut,     // Writes, and loses power with the cache active.
};
inline constexpr size_t kKernelWorks = 6;

const char* ToText(KernelWork work);

// The blocks of a cache that its data disks have.
inline constexpr uint32_t kFastBlocks = 664;
inline constexpr uint32_t kOriginBlocks = 1024;

struct DataDisks {
  DataDisk fast;
  DataDisk origin;
  DataDisk view;    // What is read through the cache.
  DataDisk writes;  // What is written through it, at the place of its origin block.
};

struct KernelTaskParams {
  KernelWork work = KernelWork::kHold;
  uint8_t cache = 0;
  uint16_t round = 0;
  uint64_t origin_sectors = 0;  // Behind the blocks of the data disk there are zeros, which nothing maps.
  CacheContents before;         // The metadata at activation.
};

class KernelTask {  // Not thread-safe.
 public:
  // Chooses what is written, discarded and resized, and fills the disks.
  KernelTask(KernelTaskParams params, DataDisks& disks, Random& random, Findings& findings);

  KernelWork work() const { return params_.work; }
  // Calls of the functions of guest.sh.
  std::string Script() const;
  // After the guest has ended: `after` is the metadata, `lines` are all lines of the guest.
  void Compare(const CacheContents& after, const std::vector<std::string>& lines);

 private:
  struct BlockRun {  // Origin blocks.
    uint32_t begin = 0;
    uint32_t count = 0;
    bool synced = false;
  };
  // What a block of the origin may hold; the first is what was written last.
  using Allowed = std::vector<Stamp>;

  void ChooseSize(Random& random);
  void ChooseWrites(Random& random);
  void FillDisks();
  std::vector<Allowed> AllowedContents(const CacheContents& after) const;
  CacheContents ExpectedContents(const CacheContents& after) const;
  std::vector<bool> ExpectedDiscards() const;
  // Discarded, and not written since: the kernel need not keep what it held.
  bool IsWorthless(uint64_t oblock) const;
  // By cblock, the origin blocks that the kernel has mapped.
  std::map<uint32_t, uint64_t> PromotedTo(const CacheContents& after) const;
  void CompareStatus(const CacheContents& after, const std::vector<std::string>& lines);
  void CompareHints(const CacheContents& after);
  void CompareView(const CacheContents& after);
  void CompareDevices(const CacheContents& after);
  void CompareLogicalContents(const CacheContents& after);

  const KernelTaskParams params_;
  DataDisks& disks_;
  Findings& findings_;
  uint32_t fast_blocks_ = 0;
  std::vector<Stamp> fast_;
  std::vector<Stamp> origin_;
  std::vector<std::optional<uint32_t>> cblock_of_;  // By oblock, as it was at activation.
  std::vector<BlockRun> puts_;
  std::vector<BlockRun> drops_;
  std::set<uint32_t> put_oblocks_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_KERNEL_TASK_H_
