#include "tests/support/manual_executor.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace dmcached {

class ManualExecutorFactory::SerialExecutor : public Executor {
 public:
  explicit SerialExecutor(ManualExecutorFactory& factory) : factory_(factory) {}
  ~SerialExecutor() override {
    while (factory_.RunNext(this)) {
    }
  }

  bool Schedule(Task task) override {
    factory_.Add(this, /*later=*/false, std::move(task));
    return true;
  }
  bool ScheduleAfter(std::chrono::nanoseconds /*delay*/, Task task) override {
    factory_.Add(this, /*later=*/true, std::move(task));
    return true;
  }

 private:
  ManualExecutorFactory& factory_;
};

ManualExecutorFactory::ManualExecutorFactory(std::optional<uint64_t> seed) {
  if (seed.has_value()) random_.emplace(*seed);
  readers_ = std::make_unique<SerialExecutor>(*this);
}

ManualExecutorFactory::~ManualExecutorFactory() {
  readers_.reset();
  DMCACHED_CHECK(queued() == 0);
}

std::unique_ptr<Executor> ManualExecutorFactory::NewSerialExecutor(const std::string& /*name*/) {
  return std::make_unique<SerialExecutor>(*this);
}

SerialPair ManualExecutorFactory::NewSerialPair(const std::string& name) {
  return out_of_threads_ ? SerialPair{} : ExecutorFactory::NewSerialPair(name);
}

bool ManualExecutorFactory::RunOne() { return RunNext(nullptr); }

size_t ManualExecutorFactory::RunUntilIdle() {
  size_t count = 0;
  while (RunOne()) ++count;
  return count;
}

size_t ManualExecutorFactory::queued() const {
  MutexLock lock(mutex_);
  return tasks_.size();
}

void ManualExecutorFactory::Add(const SerialExecutor* executor, bool later, Task task) {
  MutexLock lock(mutex_);
  tasks_.push_back({executor, later, std::move(task)});
}

bool ManualExecutorFactory::RunNext(const SerialExecutor* executor) {
  Task task;
  {
    MutexLock lock(mutex_);
    auto next = tasks_.end();
    if (executor == nullptr) {
      next = Choose(/*later=*/false);
      if (next == tasks_.end()) next = Choose(/*later=*/true);
    } else {
      next = std::find_if(tasks_.begin(), tasks_.end(), [&](const Entry& entry) { return entry.executor == executor; });
    }
    if (next == tasks_.end()) return false;
    task = std::move(next->task);
    running_.push_back(next->executor);
    tasks_.erase(next);
  }
  std::move(task)();
  MutexLock lock(mutex_);
  running_.pop_back();
  return true;
}

std::deque<ManualExecutorFactory::Entry>::iterator ManualExecutorFactory::Choose(bool later) {
  std::vector<const SerialExecutor*> ready;  // Once for each task, in the order of tasks.
  for (const Entry& entry : tasks_) {
    if (entry.later != later) continue;
    if (std::find(running_.begin(), running_.end(), entry.executor) == running_.end()) ready.push_back(entry.executor);
  }
  if (ready.empty()) return tasks_.end();
  const SerialExecutor* chosen = random_.has_value() ? ready[random_->Below(ready.size())] : ready.front();
  return std::find_if(tasks_.begin(), tasks_.end(),
                      [&](const Entry& entry) { return entry.executor == chosen && entry.later == later; });
}

}  // namespace dmcached
