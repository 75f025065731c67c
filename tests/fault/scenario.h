// One life of a cache with every kind of request, on a device of which something fails: what its caller was told, and
// what must therefore be found.
#ifndef DMCACHED_TESTS_FAULT_SCENARIO_H_
#define DMCACHED_TESTS_FAULT_SCENARIO_H_

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/cache/engine.h"
#include "core/device/device_request.h"
#include "tests/fault/promises.h"
#include "tests/support/manual_clock.h"
#include "tests/support/manual_executor.h"

namespace dmcached {

inline constexpr uint64_t kScenarioBlocks = 120;  // Metadata blocks of the device.

class Scenario {
 public:
  // `device` outlives the scenario.
  Scenario(BlockDevice& device, uint32_t version, DirtyTracking tracking = DirtyTracking::kExact);
  // On what `opener` gives at each open.
  Scenario(DeviceOpener opener, uint32_t version, DirtyTracking tracking);
  ~Scenario();

  // Creates a cache, changes it in every way, part of that beside a snapshot, closes it, opens it as unclean, so that
  // it is adopted, changes it again, closes it.  A cache that failed is recovered and the scenario goes on.
  void Run();
  // Whether the device is sound from now on is up to the caller: opens what is there, and closes it.
  absl::Status OpenAgain();

  const Promises& promises() const { return promises_; }
  // Fails the running test unless the image is whole and keeps the promises, and the snapshot did.
  void ExpectHolds(std::span<const std::byte> image) const;
  // Fails the running test unless the first error has one of these reasons, and the others too or one that follows from
  // a request that was not done.
  void ExpectReasons(std::set<Reason> of_the_fault) const;
  bool created() const { return created_; }
  // Answers with an error that names no reason.
  const std::vector<std::string>& unclear() const { return unclear_; }
  uint64_t errors() const { return reasons_.size(); }
  // Of the errors, in their order.
  const std::vector<Reason>& reasons() const { return reasons_; }
  uint64_t recoveries() const { return recoveries_; }

 private:
  bool Create();
  absl::Status Open(bool recover, bool assume_unclean);
  // Opens as unclean; tries it twice.
  void Adopt();
  absl::Status Close(bool discard);
  absl::Status Apply(Mutation mutation);
  void Insert(uint32_t begin, uint32_t end, bool dirty);
  void Mark(uint32_t begin, uint32_t end);
  void Remove(uint32_t begin, uint32_t end);
  void Discard(uint64_t begin, uint64_t end);
  void ClearDiscard(uint64_t begin, uint64_t end);
  void ChangeHints();
  void Grow();
  void TakeSnapshot();
  // Reads the snapshot and lets go of it.
  void ReadSnapshot();
  void LookUpAll();
  void Commit();
  void Heal();
  const absl::Status& Judge(const absl::Status& status);
  std::span<const uint32_t> Cblocks(uint32_t begin, uint32_t end);
  std::span<const uint64_t> Oblocks(uint32_t begin, uint32_t end);

  const uint32_t version_;
  const DirtyTracking tracking_;
  ManualClock clock_;
  ManualExecutorFactory executors_;
  std::vector<uint32_t> cblocks_;
  std::vector<uint64_t> oblocks_;
  std::unique_ptr<Engine> engine_;
  Promises promises_;
  std::shared_ptr<CacheSnapshot> snapshot_;
  Promises promised_at_snapshot_;
  bool snapshot_is_whole_ = true;
  bool created_ = false;
  std::vector<std::string> unclear_;
  std::vector<Reason> reasons_;
  uint64_t recoveries_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FAULT_SCENARIO_H_
