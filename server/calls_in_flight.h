// How many calls each caller with a certificate has in flight.
#ifndef DMCACHED_SERVER_CALLS_IN_FLIGHT_H_
#define DMCACHED_SERVER_CALLS_IN_FLIGHT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/base/mutex.h"
#include "grpcpp/support/server_interceptor.h"

namespace dmcached {

// A call counts from its arrival to its end, a stream as one.  Callers without a certificate are not counted: who may
// open the socket is trusted with the machine.
class CallsInFlight {  // Thread-safe.
 public:
  // `limit`: so many calls one caller may have in flight.  Our services refuse what is beyond it, with a reason; calls
  // of others (health, reflection) end at once.
  explicit CallsInFlight(uint64_t limit) : limit_(limit) {}

  // For the server that counts here; this object outlives it.  With it each message takes one more way through gRPC's
  // queue, which a server without TLS is spared.
  std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> Counter();

  // `caller`: Caller::name.
  bool HasTooMany(const std::string& caller) const;
  uint64_t limit() const { return limit_; }

 private:
  class Count;
  class CountFactory;

  void Enter(const std::string& caller);
  void Leave(const std::string& caller);

  const uint64_t limit_;
  mutable Mutex mutex_;
  std::map<std::string, uint64_t> calls_ ABSL_GUARDED_BY(mutex_);  // None is 0.
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CALLS_IN_FLIGHT_H_
