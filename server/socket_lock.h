// The lock that keeps two daemons off one unix socket.
#ifndef DMCACHED_SERVER_SOCKET_LOCK_H_
#define DMCACHED_SERVER_SOCKET_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dmcached {

// gRPC silently takes over the path of a socket that another server listens on, so PATH.lock is locked before anything
// is bound.  The lock file stays behind: removing it would let two daemons lock two different files of that name.
class SocketLock {
 public:
  // Locks PATH.lock (its folder is created if only the last part is missing), then removes a socket that a daemon
  // before left at `path`. Errors: kFailedPrecondition (DEVICE_IN_USE): another daemon holds it; kInvalidArgument
  // (INVALID_REQUEST): `path` is something else than a socket; kInternal (IO_ERROR).
  static absl::StatusOr<std::unique_ptr<SocketLock>> Acquire(const std::string& path);
  ~SocketLock();
  SocketLock(const SocketLock&) = delete;
  SocketLock& operator=(const SocketLock&) = delete;

 private:
  explicit SocketLock(int fd) : fd_(fd) {}
  const int fd_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_SOCKET_LOCK_H_
