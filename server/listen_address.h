// Where a server listens: unix:PATH or HOST:PORT.
#ifndef DMCACHED_SERVER_LISTEN_ADDRESS_H_
#define DMCACHED_SERVER_LISTEN_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace dmcached {

struct ListenAddress {
  std::string unix_path;  // Empty: host and port.
  std::string host;       // An IPv4 or IPv6 address, without brackets.
  uint16_t port = 0;      // 0: any free one.

  bool is_unix() const { return !unix_path.empty(); }
  bool is_ipv6() const { return host.find(':') != std::string::npos; }
  // In 127.0.0.0/8, or ::1.
  bool is_loopback() const;
  // unix:PATH, HOST:PORT or [HOST]:PORT.
  std::string ToString() const;
};

// An address as --listen takes it.  `localhost` is 127.0.0.1; other names are refused, because what they mean may
// change. Errors: kInvalidArgument (INVALID_REQUEST), with `text` in the sentence.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text);
// The same without unix sockets (--metrics).
absl::StatusOr<ListenAddress> ParseHostPort(const std::string& text);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_LISTEN_ADDRESS_H_
