#include "server/executor.h"

#include <limits>
#include <utility>

#include "server/thread_name.h"

namespace dmcached {

ThreadPool::ThreadPool(const std::string& name, size_t threads, size_t capacity) : capacity_(capacity) {
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    NameThread(threads_.back(), name);
  }
}

ThreadPool::~ThreadPool() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

bool ThreadPool::Schedule(Task task) {
  {
    MutexLock lock(mutex_);
    if (tasks_.size() >= capacity_) {
      rejected_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    tasks_.push_back(std::move(task));
  }
  wake_.NotifyOne();
  return true;
}

size_t ThreadPool::depth() const {
  MutexLock lock(mutex_);
  return tasks_.size();
}

void ThreadPool::Run() {
  while (true) {
    Task task;
    {
      MutexLock lock(mutex_);
      while (tasks_.empty() && !stopping_) wake_.Wait(mutex_);
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    std::move(task)();
  }
}

std::unique_ptr<Executor> ThreadExecutorFactory::NewSerialExecutor(const std::string& name) {
  return std::make_unique<ThreadPool>(name, 1, std::numeric_limits<size_t>::max());
}

}  // namespace dmcached
