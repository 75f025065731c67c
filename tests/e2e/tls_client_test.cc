// The client library over TLS, and what it says when that fails.
#include <chrono>
#include <fstream>
#include <string>
#include <utility>

#include "dmcached/client.h"
#include "tests/e2e/tls_daemon.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

class TlsClientTest : public TlsDaemonTest {};

TEST_F(TlsClientTest, TheClientLibraryConnectsAndSaysWhatIsWrong) {
  Start();
  const Pair pair = PairOf(authority_, kReader);
  std::ofstream(folder_.File("client.crt")) << pair.certificate;
  std::ofstream(folder_.File("client.key")) << pair.key;
  std::ofstream(folder_.File("other.crt")) << Authority("other").certificate();
  client::ClientOptions options;
  options.address = tls_address();
  options.tls = {config_.tls->client_ca, folder_.File("client.crt"), folder_.File("client.key"), "dmcached"};
  EXPECT_TRUE(client::Client(options).GetServerInfo().ok());
  options.tls.server_name = "";  // 127.0.0.1, which the certificate names too.
  EXPECT_TRUE(client::Client(options).GetServerInfo().ok());

  const auto why = [&options](client::TlsOptions tls) {
    options.tls = std::move(tls);
    options.repeat_for = {};
    return std::string(client::Client(options).GetServerInfo().status().message());
  };
  const client::TlsOptions good = options.tls;
  EXPECT_THAT(why({good.ca, good.certificate, "", ""}), HasSubstr("the key is not given"));
  EXPECT_THAT(why({good.ca, folder_.File("missing"), good.key, ""}), HasSubstr("missing: No such file"));
  EXPECT_THAT(why({good.ca, good.certificate, good.key, "elsewhere"}), HasSubstr("not for elsewhere"));
  EXPECT_THAT(why({folder_.File("other.crt"), good.certificate, good.key, ""}), HasSubstr("not signed by"));
  EXPECT_THAT(why({}), HasSubstr("without TLS"));
}

TEST_F(TlsClientTest, ARenewedCertificateIsUsedByAClientThatRuns) {
  Start();
  const auto write = [this](const Pair& pair, const std::string& ca) {
    std::ofstream(folder_.File("client.crt")) << pair.certificate;
    std::ofstream(folder_.File("client.key")) << pair.key;
    std::ofstream(folder_.File("client-ca.crt")) << ca;
  };
  write(PairOf(authority_, kReader), authority_.certificate());
  client::ClientOptions options;
  options.address = tls_address();
  options.tls = {folder_.File("client-ca.crt"), folder_.File("client.crt"), folder_.File("client.key"), "dmcached"};
  client::Client client(options);
  EXPECT_TRUE(client.GetServerInfo().ok());
  // The daemon comes back with another authority, at the same address.
  const Authority next("next");
  config_.listen[1] = tls_address();
  Stop();
  WriteServer(next.Issue(ServerNames()), next.certificate());
  write(PairOf(next, kReader), next.certificate());
  Start();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  absl::Status status;
  do {
    status = client.GetServerInfo().status();
  } while (!status.ok() && std::chrono::steady_clock::now() < give_up);
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace dmcached
