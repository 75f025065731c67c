#include "server/listening_socket.h"

#include <arpa/inet.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr size_t kGroupEntryBytes = 65536;

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress ToSocketAddress(const ListenAddress& address) {
  SocketAddress result;
  if (address.is_unix()) {
    auto& un = reinterpret_cast<sockaddr_un&>(result.storage);
    un.sun_family = AF_UNIX;
    address.unix_path.copy(un.sun_path, sizeof un.sun_path - 1);  // ParseListenAddress bounds it.
    result.size = sizeof un;
  } else if (address.is_ipv6()) {
    auto& in6 = reinterpret_cast<sockaddr_in6&>(result.storage);
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(address.port);
    inet_pton(AF_INET6, address.host.c_str(), &in6.sin6_addr);
    result.size = sizeof in6;
  } else {
    auto& in = reinterpret_cast<sockaddr_in&>(result.storage);
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    inet_pton(AF_INET, address.host.c_str(), &in.sin_addr);
    result.size = sizeof in;
  }
  return result;
}

uint16_t PortOf(const SocketAddress& address) {
  return address.storage.ss_family == AF_INET6 ? ntohs(reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_port)
                                               : ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

absl::Status CannotListen(const ListenAddress& address) {
  return MakeError(Reason::kDeviceInUse,
                   absl::StrCat("cannot listen on ", address.ToString(), ": ", std::strerror(errno)));
}

absl::Status IoError(const std::string& what) {
  const int cause = errno;
  return MakeError(Reason::kIoError, absl::StrCat(what, ": ", std::strerror(cause)), cause);
}

absl::StatusOr<gid_t> FindGroup(const std::string& group) {
  gid_t number = 0;
  if (absl::SimpleAtoi(group, &number)) return number;
  struct group entry;
  struct group* found = nullptr;
  std::vector<char> buffer(kGroupEntryBytes);
  if (getgrnam_r(group.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat("socket_group: there is no group \"", group, "\""));
  }
  return found->gr_gid;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ListeningSocket>> ListeningSocket::Listen(const ListenAddress& address,
                                                                         const Access& access) {
  const int family = address.is_unix() ? AF_UNIX : address.is_ipv6() ? AF_INET6 : AF_INET;
  const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return CannotListen(address);
  std::unique_ptr<ListeningSocket> result(new ListeningSocket(fd, address));
  DMCACHED_RETURN_IF_ERROR(result->Bind());
  if (address.is_unix()) DMCACHED_RETURN_IF_ERROR(result->SetAccess(access));
  if (listen(fd, SOMAXCONN) != 0) return CannotListen(address);
  return result;
}

ListeningSocket::~ListeningSocket() {
  if (bound_ && address_.is_unix()) unlink(address_.unix_path.c_str());
  close(fd_);
}

absl::Status ListeningSocket::Bind() {
  SocketAddress asked = ToSocketAddress(address_);
  // A daemon that starts again is not kept off by connections of the one before.
  const int yes = 1;
  if (!address_.is_unix() && setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0) {
    return CannotListen(address_);
  }
  if (bind(fd_, asked.get(), asked.size) != 0) return CannotListen(address_);
  bound_ = true;
  if (address_.is_unix()) return absl::OkStatus();
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  if (getsockname(fd_, bound.get(), &bound.size) != 0) return CannotListen(address_);
  address_.port = PortOf(bound);
  return absl::OkStatus();
}

absl::Status ListeningSocket::SetAccess(const Access& access) const {
  const std::string& path = address_.unix_path;
  if (!access.group.empty()) {
    DMCACHED_ASSIGN_OR_RETURN(const gid_t number, FindGroup(access.group));
    if (lchown(path.c_str(), static_cast<uid_t>(-1), number) != 0) {
      return IoError(absl::StrCat("cannot give the socket ", path, " to the group ", access.group));
    }
  }
  if (chmod(path.c_str(), access.mode) != 0) return IoError(absl::StrCat("cannot set the mode of the socket ", path));
  return absl::OkStatus();
}

}  // namespace dmcached
