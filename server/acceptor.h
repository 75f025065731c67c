// Takes connections and hands them to gRPC.
#ifndef DMCACHED_SERVER_ACCEPTOR_H_
#define DMCACHED_SERVER_ACCEPTOR_H_

#include <cstdint>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "grpcpp/server_builder.h"
#include "server/listening_socket.h"
#include "server/log.h"

namespace dmcached {

// gRPC's own listeners have no limit of connections, and one that once had no file descriptor for a connection never
// takes another.  Here a connection beyond the limit waits in the kernel's queue until another one ends; a handshake
// that is not finished in time ends by itself.
class Acceptor {
 public:
  // `tcp_connections`: so many at a time, over all sockets that are not unix ones; fewer if the process may not open
  // twice as many files, so that the unix sockets always have some left.  `log` outlives it.
  Acceptor(uint64_t tcp_connections, const Log& log);
  // Takes no connection any more; those that were taken stay.
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Before Start.  `server` is what gRPC gave for this socket.
  void Add(std::unique_ptr<ListeningSocket> socket,
           std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server);
  // When gRPC's server has started.
  void Start();

 private:
  struct Listener {
    std::unique_ptr<ListeningSocket> socket;
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server;
  };

  void Run();
  // Whether as many TCP connections are open as may be.
  bool IsFull();
  // Takes one connection.  False: this process can open no file now.
  bool Accept(const Listener& listener);

  const uint64_t tcp_limit_;
  const Log& log_;
  const int stop_fd_;  // An event.
  std::vector<Listener> listeners_;
  std::set<uint16_t> ports_;  // Of those that are not unix sockets.
  std::thread thread_;

  // Of the thread.
  uint64_t at_most_open_ = 0;  // TCP connections: the last count, and one for each since.
  bool said_full_ = false;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_ACCEPTOR_H_
