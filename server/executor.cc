#include "server/executor.h"

#include <pthread.h>

#include <limits>
#include <utility>

namespace dmcached {
namespace {

// What the kernel keeps of a thread's name, without its NUL.
constexpr size_t kMaxThreadName = 15;

}  // namespace

ThreadPool::ThreadPool(const std::string& name, size_t threads, size_t capacity) : capacity_(capacity) {
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, kMaxThreadName).c_str());
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
