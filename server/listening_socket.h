// A socket that listens, as the configuration describes it.
#ifndef DMCACHED_SERVER_LISTENING_SOCKET_H_
#define DMCACHED_SERVER_LISTENING_SOCKET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/listen_address.h"

namespace dmcached {

class ListeningSocket {
 public:
  // Who may connect to a unix socket.
  struct Access {
    uint32_t mode = 0660;
    std::string group;  // A name or a number; empty: as it is.
  };

  // Listens at once; nobody gets in before mode and group are set.  Two sockets cannot share a port.  Errors:
  // kFailedPrecondition (DEVICE_IN_USE): the address is in use, not local, or not allowed; kInvalidArgument
  // (INVALID_REQUEST): there is no such group; kInternal (IO_ERROR).
  static absl::StatusOr<std::unique_ptr<ListeningSocket>> Listen(const ListenAddress& address, const Access& access);
  // Removes the file of a unix socket.
  ~ListeningSocket();
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  // Does not block.
  int fd() const { return fd_; }
  // With the port that was really bound.
  const ListenAddress& address() const { return address_; }

 private:
  ListeningSocket(int fd, ListenAddress address) : fd_(fd), address_(std::move(address)) {}

  absl::Status Bind();
  absl::Status SetAccess(const Access& access) const;

  const int fd_;
  ListenAddress address_;
  bool bound_ = false;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_LISTENING_SOCKET_H_
