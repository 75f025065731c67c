#include "server/paired_threads.h"

#include <sys/prctl.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "server/thread_name.h"

namespace dmcached {
namespace {

// The kernel's own, 50 us, is as long as a short delay.
constexpr unsigned long kTimerSlackNanoseconds = 1000;

// The pair that the current thread is of.
thread_local const PairedThreads* own_pair = nullptr;

}  // namespace

class PairedThreads::SideExecutor : public Executor {
 public:
  SideExecutor(std::shared_ptr<PairedThreads> threads, size_t side) : threads_(std::move(threads)), side_(side) {}
  ~SideExecutor() override { threads_->Drain(side_); }

  bool Schedule(Task task) override {
    threads_->Schedule(side_, std::move(task));
    return true;
  }
  bool ScheduleAfter(std::chrono::nanoseconds delay, Task task) override {
    threads_->ScheduleAt(side_, SteadyClock::now() + delay, std::move(task));
    return true;
  }

 private:
  const std::shared_ptr<PairedThreads> threads_;
  const size_t side_;
};

SerialPair PairedThreads::New(const std::string& name) {
  auto threads = std::make_shared<PairedThreads>();
  try {
    threads->Start(name);
  } catch (const std::system_error&) {
    return {};
  }
  return {std::make_unique<SideExecutor>(threads, 0), std::make_unique<SideExecutor>(threads, 1)};
}

void PairedThreads::Start(const std::string& name) {
  for (std::thread& thread : threads_) {
    thread = std::thread([this] { Run(); });
    NameThread(thread, name);
  }
}

PairedThreads::~PairedThreads() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void PairedThreads::Schedule(size_t side, Task task) {
  {
    MutexLock lock(mutex_);
    sides_[side].tasks.push_back(std::move(task));
    // A thread of the pair looks for more to do when it is through; so does the one that runs this side.
    if (own_pair == this || sides_[side].running || idle_ == 0) return;
  }
  wake_.NotifyOne();
}

void PairedThreads::ScheduleAt(size_t side, SteadyClock::time_point when, Task task) {
  {
    MutexLock lock(mutex_);
    sides_[side].later.emplace(when, std::move(task));
    if (own_pair == this) return;
  }
  wake_.NotifyOne();  // So that somebody waits no longer than that.
}

void PairedThreads::Drain(size_t side) {
  MutexLock lock(mutex_);
  TakeDue(SteadyClock::time_point::max());
  wake_.NotifyAll();
  while (sides_[side].running || !sides_[side].tasks.empty()) drained_.Wait(mutex_);
}

std::optional<size_t> PairedThreads::Ready(size_t preferred) const {
  if (IsReady(sides_[preferred])) return preferred;
  if (IsReady(sides_[1 - preferred])) return 1 - preferred;
  return std::nullopt;
}

void PairedThreads::TakeDue(SteadyClock::time_point now) {
  for (Side& side : sides_) {
    while (!side.later.empty() && side.later.begin()->first <= now) {
      side.tasks.push_back(std::move(side.later.begin()->second));
      side.later.erase(side.later.begin());
    }
  }
}

void PairedThreads::Wait() {
  auto until = SteadyClock::time_point::max();
  for (const Side& side : sides_) {
    if (!side.later.empty()) until = std::min(until, side.later.begin()->first);
  }
  ++idle_;
  if (until == SteadyClock::time_point::max()) {
    wake_.Wait(mutex_);
  } else if (const auto now = SteadyClock::now(); until > now) {
    wake_.WaitFor(mutex_, until - now);
  }
  --idle_;
}

void PairedThreads::Run() {
  own_pair = this;
  prctl(PR_SET_TIMERSLACK, kTimerSlackNanoseconds, 0, 0, 0);
  size_t last = 0;
  MutexLock lock(mutex_);
  for (;;) {
    TakeDue(SteadyClock::now());
    const std::optional<size_t> next = Ready(last);
    if (!next.has_value()) {
      if (stopping_) return;
      Wait();
      continue;
    }
    last = *next;
    Side& side = sides_[last];
    side.running = true;
    {
      Task task = std::move(side.tasks.front());
      side.tasks.pop_front();
      if (idle_ > 0 && IsReady(sides_[1 - last])) wake_.NotifyOne();
      mutex_.Unlock();
      std::move(task)();
    }
    mutex_.Lock();
    side.running = false;
    if (side.tasks.empty()) drained_.NotifyAll();
  }
}

}  // namespace dmcached
