// A daemon that serves with TLS beside its unix socket, and callers of every kind.
#ifndef DMCACHED_TESTS_E2E_TLS_DAEMON_H_
#define DMCACHED_TESTS_E2E_TLS_DAEMON_H_

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/channel.h"
#include "tests/e2e/daemon.h"
#include "tests/support/pki.h"

namespace dmcached {

inline constexpr char kReader[] = "spiffe://fleet/reader";
inline constexpr char kOperator[] = "spiffe://fleet/operator";
inline constexpr char kAdmin[] = "spiffe://fleet/admin";

class TlsDaemonTest : public DaemonTest {
 protected:
  // Not started yet.  The roles are given for every cache; nobody else has one.
  TlsDaemonTest();

  // Writes the daemon's files.
  void WriteServer(const Pair& pair, const std::string& client_ca) const;
  // What the daemon's certificate says: dmcached and 127.0.0.1.
  static Wanted ServerNames();
  // A certificate of `authority` with that URI.
  static Pair PairOf(const Authority& authority, const std::string& uri);

  std::string tls_address() { return app().addresses()[1]; }
  // Each with connections of its own.
  std::shared_ptr<grpc::Channel> Dial(const Pair& pair, const std::string& server_ca);
  std::shared_ptr<grpc::Channel> DialAs(const std::string& uri);

  // The simplest call of a reader.
  static grpc::Status GetServerInfo(const std::shared_ptr<grpc::Channel>& channel);
  static grpc::Status Probe(const std::shared_ptr<grpc::Channel>& channel, const std::string& path);

  const Authority authority_{"fleet"};
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_TLS_DAEMON_H_
