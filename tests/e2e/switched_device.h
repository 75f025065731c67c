// A real file whose transfers and flushes a test can make fail or wait, and whose blocks it can read as damaged.
#ifndef DMCACHED_TESTS_E2E_SWITCHED_DEVICE_H_
#define DMCACHED_TESTS_E2E_SWITCHED_DEVICE_H_

#include <atomic>
#include <limits>
#include <memory>
#include <optional>

#include "core/base/mutex.h"
#include "core/device/block_device.h"
#include "core/device/device_request.h"

namespace dmcached {

enum class Transfer { kRead, kWrite, kFlush };

class DeviceSwitch {  // Thread-safe.
 public:
  std::atomic<bool> fail_writes{false};
  std::atomic<bool> fail_reads{false};
  // Writes find no space.
  std::atomic<bool> no_space{false};
  // So many flushes succeed before all others fail.
  std::atomic<int> good_flushes{std::numeric_limits<int>::max()};
  // Every read has a wrong byte in each of its metadata blocks.
  std::atomic<bool> damage_reads{false};

  // From now on these wait, and whatever else passes the gate as one of them.
  void Hold(Transfer which = Transfer::kFlush);
  void Release();
  // Until one waits.
  void AwaitHeld();

  // Waits while those are held.
  void PassGate(Transfer transfer = Transfer::kFlush);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::optional<Transfer> held_ ABSL_GUARDED_BY(mutex_);
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Opens files of this machine, all under one switch.
DeviceOpener OpenSwitched(std::shared_ptr<DeviceSwitch> device_switch);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_SWITCHED_DEVICE_H_
