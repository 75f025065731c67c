#include "server/listen_address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr char kUnixPrefix[] = "unix:";
constexpr size_t kMaxUnixPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr uint32_t kMaxPort = 65535;

absl::Status Invalid(absl::string_view message) { return MakeError(Reason::kInvalidRequest, message); }

bool IsNumeric(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 || inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

absl::StatusOr<uint16_t> ParsePort(const std::string& text, const std::string& port) {
  uint32_t number = 0;
  const bool digits =
      !port.empty() && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || !absl::SimpleAtoi(port, &number) || number > kMaxPort) {
    return Invalid(absl::StrCat("address \"", text, "\" has no port from 0 to ", kMaxPort));
  }
  return static_cast<uint16_t>(number);
}

}  // namespace

bool ListenAddress::is_loopback() const { return host == "::1" || (host.rfind("127.", 0) == 0 && !is_ipv6()); }

std::string ListenAddress::ToString() const {
  if (is_unix()) return absl::StrCat(kUnixPrefix, unix_path);
  return is_ipv6() ? absl::StrCat("[", host, "]:", port) : absl::StrCat(host, ":", port);
}

absl::StatusOr<ListenAddress> ParseHostPort(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return Invalid(absl::StrCat("address \"", text, "\" is not HOST:PORT"));
  ListenAddress address;
  DMCACHED_ASSIGN_OR_RETURN(address.port, ParsePort(text, text.substr(colon + 1)));
  address.host = text.substr(0, colon);
  const bool bracketed = address.host.size() > 2 && address.host.front() == '[' && address.host.back() == ']';
  if (bracketed) address.host = address.host.substr(1, address.host.size() - 2);
  if (address.host == "localhost") address.host = "127.0.0.1";
  if (!IsNumeric(address.host) || address.is_ipv6() != bracketed) {
    return Invalid(absl::StrCat("host of \"", text, "\" is neither localhost nor an IPv4 address nor [IPv6]"));
  }
  return address;
}

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text) {
  if (text.rfind(kUnixPrefix, 0) != 0) return ParseHostPort(text);
  ListenAddress address;
  address.unix_path = text.substr(sizeof(kUnixPrefix) - 1);
  if (address.unix_path.empty() || address.unix_path[0] != '/') {
    return Invalid(absl::StrCat("address \"", text, "\" has no absolute path after unix:"));
  }
  if (address.unix_path.size() > kMaxUnixPath) {
    return Invalid(absl::StrCat("the path of \"", text, "\" has ", address.unix_path.size(),
                                " bytes, a socket's has at most ", kMaxUnixPath));
  }
  return address;
}

}  // namespace dmcached
