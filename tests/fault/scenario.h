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

#include "core/cache/engine.h"
#include "core/device/device_request.h"
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

  // Creates a cache, changes it in every way, closes it, opens it, changes it again, closes it.  A cache that failed is
  // recovered and the scenario goes on.
  void Run();
  // Whether the device is sound from now on is up to the caller: opens what is there, and closes it.
  absl::Status OpenAgain();

  // Acknowledged as durable, and not asked to be removed since.
  const std::set<uint32_t>& dirty() const { return dirty_; }
  // Fails the running test unless the image is whole and has every block of dirty() as dirty to whoever opens it.
  void ExpectHolds(std::span<const std::byte> image) const;
  bool created() const { return created_; }
  // Answers with an error that names no reason.
  const std::vector<std::string>& unclear() const { return unclear_; }
  uint64_t errors() const { return errors_; }
  uint64_t recoveries() const { return recoveries_; }

 private:
  bool Create();
  absl::Status Open(bool recover);
  absl::Status Close(bool discard);
  absl::Status Apply(Mutation mutation);
  void Insert(uint32_t begin, uint32_t end, bool dirty);
  void Mark(uint32_t begin, uint32_t end);
  void Remove(uint32_t begin, uint32_t end);
  void ChangeRest();
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
  std::set<uint32_t> dirty_;
  bool created_ = false;
  std::vector<std::string> unclear_;
  uint64_t errors_ = 0;
  uint64_t recoveries_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FAULT_SCENARIO_H_
