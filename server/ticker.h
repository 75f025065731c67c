// Calls a function again and again on a thread of its own.
#ifndef DMCACHED_SERVER_TICKER_H_
#define DMCACHED_SERVER_TICKER_H_

#include <functional>
#include <thread>

#include "core/base/clock.h"
#include "core/base/mutex.h"

namespace dmcached {

class Ticker {
 public:
  // Calls `tick` every `interval`, counted from the end of the last call.
  Ticker(Duration interval, std::function<void()> tick);
  // Waits for a call under way; none begins after it.
  ~Ticker();
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  void Run();

  const Duration interval_;
  const std::function<void()> tick_;
  Mutex mutex_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_TICKER_H_
