#include "server/acceptor.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "core/base/check.h"

namespace dmcached {
namespace {

// How long nothing is taken while there is no room.
constexpr int kPauseMs = 50;

uint64_t WithinOpenFiles(uint64_t connections) {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return connections;
  return std::clamp<uint64_t>(files.rlim_cur / 2, 1, connections);
}

// The TCP port at this end; 0: none.
uint16_t LocalPort(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return 0;
}

bool Listens(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

// gRPC closes connections without telling, so those that are open are counted.  Nothing: there is not even a file left
// to look.
std::optional<uint64_t> CountConnections(const std::set<uint16_t>& ports) {
  uint64_t count = 0;
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return std::nullopt;
  while (const dirent* entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);  // Of "." and ".." 0, which is no connection.
    if (ports.count(LocalPort(fd)) != 0 && !Listens(fd)) ++count;
  }
  closedir(folder);
  return count;
}

}  // namespace

Acceptor::Acceptor(uint64_t tcp_connections, const Log& log)
    : tcp_limit_(WithinOpenFiles(tcp_connections)), log_(log), stop_fd_(eventfd(0, EFD_CLOEXEC)) {
  DMCACHED_CHECK(stop_fd_ >= 0);
}

Acceptor::~Acceptor() {
  if (thread_.joinable()) {
    DMCACHED_CHECK(eventfd_write(stop_fd_, 1) == 0);
    thread_.join();
  }
  close(stop_fd_);
}

void Acceptor::Add(std::unique_ptr<ListeningSocket> socket,
                   std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> server) {
  if (!socket->address().is_unix()) ports_.insert(socket->address().port);
  listeners_.push_back({std::move(socket), std::move(server)});
}

void Acceptor::Start() {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "acceptor");
}

void Acceptor::Run() {
  std::vector<pollfd> waiting;
  bool pause = false;
  while (true) {
    const bool full = IsFull();
    waiting = {{stop_fd_, POLLIN, 0}};
    for (const Listener& listener : listeners_) {
      const bool shut = pause || (full && !listener.socket->address().is_unix());
      waiting.push_back({shut ? -1 : listener.socket->fd(), POLLIN, 0});
    }
    poll(waiting.data(), waiting.size(), pause || full ? kPauseMs : -1);
    if (waiting[0].revents != 0) return;
    pause = false;
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (waiting[i + 1].revents != 0 && !Accept(listeners_[i])) pause = true;
    }
  }
}

bool Acceptor::IsFull() {
  if (at_most_open_ < tcp_limit_) return false;
  at_most_open_ = CountConnections(ports_).value_or(at_most_open_);
  const bool full = at_most_open_ >= tcp_limit_;
  if (full && !said_full_) log_.Warning("connections_full", {{"limit", std::to_string(tcp_limit_)}});
  said_full_ = full;
  return full;
}

bool Acceptor::Accept(const Listener& listener) {
  const int fd = accept4(listener.socket->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const bool no_room = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (no_room) log_.Warning("accept_failed", {{"error", std::strerror(errno)}});
    return !no_room;  // Anything else: the caller has gone already.
  }
  if (!listener.socket->address().is_unix()) {
    ++at_most_open_;
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);  // Without it calls only wait longer.
  }
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
  connection.listener_fd = listener.socket->fd();
  connection.fd = fd;
  listener.server->HandleNewConnection(&connection);
  return true;
}

}  // namespace dmcached
