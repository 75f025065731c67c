// Many calls of one kind at once.
#ifndef DMCACHED_TESTS_E2E_FLOOD_H_
#define DMCACHED_TESTS_E2E_FLOOD_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "grpcpp/support/status.h"
#include "tests/e2e/daemon.h"

namespace dmcached {

// Thread-safe.  Ends when every call was answered.
template <typename Request, typename Response>
class Flood {
 public:
  // Begins an asynchronous call and returns: the generated `stub.async()->Method`.
  using Begin = std::function<void(grpc::ClientContext*, const Request*, Response*, std::function<void(grpc::Status)>)>;

  // Makes `count` calls with the same request.
  Flood(size_t count, Request request, const Begin& begin) : request_(std::move(request)), calls_(count) {
    for (Call& call : calls_) {
      begin(&call.context, &request_, &call.response, [this, &call](const grpc::Status& status) {
        MutexLock lock(mutex_);
        if (!status.ok()) ++refused_;
        call.status = status;
        ++answered_;
        changed_.NotifyAll();
      });
    }
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;
  ~Flood() { Await(); }

  size_t answered() const {
    MutexLock lock(mutex_);
    return answered_;
  }
  size_t refused() const {
    MutexLock lock(mutex_);
    return refused_;
  }
  // Until one call was refused, or all were answered.
  void AwaitRefusal() const {
    MutexLock lock(mutex_);
    while (refused_ == 0 && answered_ < calls_.size()) changed_.Wait(mutex_);
  }
  // Until every call was answered; what the calls came to.
  std::vector<grpc::Status> Await() const {
    MutexLock lock(mutex_);
    while (answered_ < calls_.size()) changed_.Wait(mutex_);
    std::vector<grpc::Status> all;
    for (const Call& call : calls_) all.push_back(call.status);
    return all;
  }

 private:
  struct Call {
    Context context;
    Response response;
    grpc::Status status;
  };

  const Request request_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  std::vector<Call> calls_;  // Each `status` is guarded by `mutex_`.
  size_t answered_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_FLOOD_H_
