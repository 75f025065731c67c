#include "server/ticker.h"

#include <pthread.h>

#include <utility>

namespace dmcached {

Ticker::Ticker(Duration interval, std::function<void()> tick) : interval_(interval), tick_(std::move(tick)) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "ticker");
}

Ticker::~Ticker() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  stop_.NotifyAll();
  thread_.join();
}

void Ticker::Run() {
  while (true) {
    {
      MutexLock lock(mutex_);
      // A spurious wake-up only makes one tick come early.
      if (!stopping_) stop_.WaitFor(mutex_, interval_);
      if (stopping_) return;
    }
    tick_();
  }
}

}  // namespace dmcached
