// How much work one cache holds at a time: requests, from their arrival to their answer, and the bytes they keep.
//
// Beyond the limit a request is refused at once, so that a device that hangs makes callers hear OVERLOADED instead of
// making the process grow.
#ifndef DMCACHED_CORE_CACHE_WORK_LIMIT_H_
#define DMCACHED_CORE_CACHE_WORK_LIMIT_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"

namespace dmcached {

class WorkLimit {  // Thread-safe.
 public:
  // What one request takes; given back when the share goes.  It may outlive the limit.
  class Share {
   public:
    Share(Share&& other) noexcept : used_(std::move(other.used_)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share();

   private:
    friend class WorkLimit;
    struct Used {
      std::atomic<size_t> requests{0};
      std::atomic<size_t> bytes{0};
    };
    Share(std::shared_ptr<Used> used, size_t bytes) : used_(std::move(used)), bytes_(bytes) {}

    std::shared_ptr<Used> used_;
    size_t bytes_;
  };

  WorkLimit(size_t max_requests, size_t max_bytes) : max_requests_(max_requests), max_bytes_(max_bytes) {}

  // Nothing: the limit is reached.  A single request may be larger than all bytes.
  std::optional<Share> Take(size_t bytes);

 private:
  const size_t max_requests_;
  const size_t max_bytes_;
  const std::shared_ptr<Share::Used> used_ = std::make_shared<Share::Used>();
};

// `done`, keeping `share` until it was called.
template <typename Result>
absl::AnyInvocable<void(Result) &&> Holding(WorkLimit::Share share, absl::AnyInvocable<void(Result) &&> done) {
  return
      [share = std::move(share), done = std::move(done)](Result result) mutable { std::move(done)(std::move(result)); };
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_WORK_LIMIT_H_
