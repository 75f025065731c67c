#include "tests/support/manual_executor.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace dmcached {

class ManualExecutorFactory::SerialExecutor : public Executor {
 public:
  explicit SerialExecutor(ManualExecutorFactory& factory) : factory_(factory) {}
  ~SerialExecutor() override {
    while (std::optional<Task> task = factory_.Take(this)) std::move (*task)();
  }

  bool Schedule(Task task) override {
    factory_.Add(this, std::move(task));
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

bool ManualExecutorFactory::RunOne() {
  std::optional<Task> task = Take(nullptr);
  if (!task.has_value()) return false;
  std::move (*task)();
  return true;
}

size_t ManualExecutorFactory::RunUntilIdle() {
  size_t count = 0;
  while (RunOne()) ++count;
  return count;
}

size_t ManualExecutorFactory::queued() const {
  MutexLock lock(mutex_);
  return tasks_.size();
}

void ManualExecutorFactory::Add(const SerialExecutor* executor, Task task) {
  MutexLock lock(mutex_);
  tasks_.push_back({executor, std::move(task)});
}

std::optional<Task> ManualExecutorFactory::Take(const SerialExecutor* executor) {
  MutexLock lock(mutex_);
  auto next = tasks_.begin();
  if (executor != nullptr) {
    next = std::find_if(tasks_.begin(), tasks_.end(), [&](const Entry& entry) { return entry.executor == executor; });
  } else if (!tasks_.empty()) {
    next += static_cast<std::ptrdiff_t>(ChooseIndex());
  }
  if (next == tasks_.end()) return std::nullopt;
  Task task = std::move(next->task);
  tasks_.erase(next);
  return task;
}

size_t ManualExecutorFactory::ChooseIndex() {
  if (!random_.has_value()) return 0;
  // Any entry names an executor; its oldest one is the first with that name.
  const SerialExecutor* chosen = tasks_[random_->Below(tasks_.size())].executor;
  const auto oldest =
      std::find_if(tasks_.begin(), tasks_.end(), [&](const Entry& entry) { return entry.executor == chosen; });
  return static_cast<size_t>(oldest - tasks_.begin());
}

}  // namespace dmcached
