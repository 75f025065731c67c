// Who gets in, over real sockets with a real PKI, and how certificates change under load.
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "spdlog/logger.h"
#include "spdlog/sinks/ostream_sink.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/tls_daemon.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

class TlsTest : public TlsDaemonTest {
 protected:
  // The daemon looks at the files each second.
  template <typename Done>
  void Await(Done done) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      std::this_thread::yield();
    }
  }
  double ReloadFailures() { return Scrape(app().metrics_address()).At("dmcached_tls_reload_failures_total"); }
  double Expiry() { return Scrape(app().metrics_address()).At("dmcached_tls_certificate_expiry_timestamp_seconds"); }

  uint16_t tls_port() {
    const std::string address = tls_address();
    return static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  // How many TCP connections the daemon, which is in this process, has taken and not closed.
  int Accepted() {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      const int fd = std::stoi(entry.path().filename());
      sockaddr_in here = {};
      socklen_t size = sizeof here;
      const bool connected = getpeername(fd, reinterpret_cast<sockaddr*>(&here), &size) == 0;
      size = sizeof here;
      if (connected && getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size) == 0 && here.sin_family == AF_INET &&
          ntohs(here.sin_port) == tls_port()) {
        ++count;
      }
    }
    return count;
  }

  // A TCP connection that has said nothing.
  int Connect() {
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_port = htons(tls_port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  // Whether the daemon takes that caller in this version of TLS, below 1.3: there the caller hears of it later.  The
  // caller takes any daemon.
  bool ShakesHands(const Pair& pair, int version) {
    std::ofstream(folder_.File("client.crt")) << pair.certificate;
    std::ofstream(folder_.File("client.key")) << pair.key;
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
    SSL_CTX_set_security_level(context.get(), 0);  // Else this side would not offer the old ones.
    SSL_CTX_set_min_proto_version(context.get(), version);
    SSL_CTX_set_max_proto_version(context.get(), version);
    SSL_CTX_use_certificate_file(context.get(), folder_.File("client.crt").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context.get(), folder_.File("client.key").c_str(), SSL_FILETYPE_PEM);
    const std::unique_ptr<SSL, decltype(&SSL_free)> connection(SSL_new(context.get()), &SSL_free);
    const int fd = Connect();
    SSL_set_fd(connection.get(), fd);
    const bool done = SSL_connect(connection.get()) == 1;
    close(fd);
    return done;
  }
};

TEST_F(TlsTest, ACallerOfTheFleetGetsIn) {
  Start();
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  EXPECT_THAT(GetServerInfo(DialAs("spiffe://fleet/stranger")), FailsWith(Reason::kRoleTooLow));
}

TEST_F(TlsTest, AnotherAuthorityDoesNot) {
  Start();
  const Authority other("fleet");  // Of the same name.
  EXPECT_EQ(GetServerInfo(Dial(PairOf(other, kAdmin), authority_.certificate())).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  // Nor does the caller trust a daemon that its own authority did not sign.
  EXPECT_EQ(GetServerInfo(Dial(PairOf(authority_, kAdmin), other.certificate())).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, ACertificateThatIsOverOrNotYetValidDoesNot) {
  Start();
  const Pair over = authority_.Issue(
      {.names = {std::string("URI:") + kAdmin}, .begin = std::chrono::hours(-2), .end = std::chrono::hours(-1)});
  EXPECT_EQ(GetServerInfo(Dial(over, authority_.certificate())).error_code(), grpc::StatusCode::UNAVAILABLE);
  const Pair early = authority_.Issue(
      {.names = {std::string("URI:") + kAdmin}, .begin = std::chrono::hours(1), .end = std::chrono::hours(2)});
  EXPECT_EQ(GetServerInfo(Dial(early, authority_.certificate())).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(TlsTest, NoCertificateAndPlainTextDoNot) {
  Start();
  EXPECT_EQ(GetServerInfo(Dial({}, authority_.certificate())).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(GetServerInfo(grpc::CreateChannel(tls_address(), grpc::InsecureChannelCredentials())).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
}

TEST_F(TlsTest, VersionsBefore12AreRefused) {
  Start();
  const Pair pair = PairOf(authority_, kReader);
  EXPECT_FALSE(ShakesHands(pair, TLS1_VERSION));
  EXPECT_FALSE(ShakesHands(pair, TLS1_1_VERSION));
  EXPECT_TRUE(ShakesHands(pair, TLS1_2_VERSION));
  EXPECT_TRUE(ShakesHands(pair, TLS1_3_VERSION));
}

TEST_F(TlsTest, AllThatANameIsGoodFor) {
  config_.roles = {{"agent.fleet", Role::kReader}, {"agent", Role::kReader}, {kAdmin, Role::kAdmin}};
  Start();
  const std::string& ca = authority_.certificate();
  EXPECT_THAT(GetServerInfo(Dial(authority_.Issue({.names = {"DNS:agent.fleet"}}), ca)), Succeeds());
  EXPECT_THAT(GetServerInfo(Dial(authority_.Issue({.common_name = "agent"}), ca)), Succeeds());
  // The common name of a certificate with names is only a label.
  EXPECT_THAT(GetServerInfo(Dial(authority_.Issue({.common_name = "agent", .names = {"DNS:other"}}), ca)),
              FailsWith(Reason::kRoleTooLow));
  // A common name is often the caller's own choice: it cannot be a URI.
  EXPECT_THAT(GetServerInfo(Dial(authority_.Issue({.common_name = kAdmin}), ca)), FailsWith(Reason::kRoleTooLow));
  // Without any name it is still no caller of the unix socket.
  EXPECT_THAT(GetServerInfo(Dial(authority_.Issue({}), ca)), FailsWith(Reason::kRoleTooLow));
}

TEST_F(TlsTest, ANewPairAndAuthorityAreTakenUnderLoadWithoutAFailedCall) {
  Start();
  const Authority next("next");
  const std::string both = authority_.certificate() + next.certificate();
  const Pair caller = PairOf(authority_, kReader);
  std::atomic<bool> stop{false};
  std::atomic<int> calls{0};
  std::vector<std::jthread> callers;
  for (int i = 0; i < 2; ++i) {
    callers.emplace_back([&] {
      for (; !stop; ++calls) EXPECT_THAT(GetServerInfo(Dial(caller, both)), Succeeds());
    });
  }
  const std::shared_ptr<grpc::Channel> kept = DialAs(kReader);
  EXPECT_THAT(GetServerInfo(kept), Succeeds());
  WriteServer(next.Issue(ServerNames()), both);
  const Pair new_caller = PairOf(next, kReader);
  Await([&] { return GetServerInfo(Dial(new_caller, next.certificate())).ok(); });
  const int at_change = calls;
  Await([&] { return calls > at_change + 4; });
  stop = true;
  callers.clear();
  EXPECT_THAT(GetServerInfo(kept), Succeeds());  // An open connection is not touched.
  EXPECT_EQ(ReloadFailures(), 0);
}

TEST_F(TlsTest, ABadNewPairIsCountedOnceAndTheOldOneServesOn) {
  Start();
  const double expiry = Expiry();
  EXPECT_GT(expiry, 0);
  const Pair one = authority_.Issue(ServerNames());
  const Pair two = authority_.Issue(ServerNames());
  WriteServer({one.certificate, two.key}, authority_.certificate());
  Await([&] { return ReloadFailures() == 1; });
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  WriteServer({one.certificate, "no key"}, authority_.certificate());
  Await([&] { return ReloadFailures() == 2; });
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  EXPECT_EQ(Expiry(), expiry);
  // Mended, it is taken.
  Wanted longer = ServerNames();
  longer.end = std::chrono::hours(5);
  WriteServer(authority_.Issue(longer), authority_.certificate());
  Await([&] { return Expiry() > expiry; });
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  EXPECT_EQ(ReloadFailures(), 2);
}

TEST_F(TlsTest, APairThatIsOverDoesNotReplaceOneThatIsNot) {
  Start();
  Wanted over = ServerNames();
  over.begin = std::chrono::hours(-2);
  over.end = std::chrono::hours(-1);
  WriteServer(authority_.Issue(over), authority_.certificate());
  Await([&] { return ReloadFailures() == 1; });
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
}

TEST_F(TlsTest, AnAuthorityCanGoWhileTheDaemonsOwnCertificateIsOver) {
  Wanted over = ServerNames();
  over.begin = std::chrono::hours(-2);
  over.end = std::chrono::hours(-1);
  const Pair pair = authority_.Issue(over);
  WriteServer(pair, authority_.certificate());
  Start();
  const Pair caller = PairOf(authority_, kReader);
  EXPECT_TRUE(ShakesHands(caller, TLS1_2_VERSION));
  const Authority next("next");
  WriteServer(pair, next.certificate());
  const Pair new_caller = PairOf(next, kReader);
  Await([&] { return ShakesHands(new_caller, TLS1_2_VERSION); });
  EXPECT_FALSE(ShakesHands(caller, TLS1_2_VERSION));
  EXPECT_EQ(ReloadFailures(), 0);
}

TEST_F(TlsTest, ABadPairAtTheStartIsASentence) {
  WriteServer({authority_.Issue(ServerNames()).certificate, authority_.Issue(ServerNames()).key},
              authority_.certificate());
  const absl::StatusOr<std::unique_ptr<App>> app = App::Start(config_, Log());
  EXPECT_THAT(std::string(app.status().message()), HasSubstr("is not the key of"));
}

TEST_F(TlsTest, ManyConnectionsThatSayNothingKeepNobodyElseOutAndAreClosed) {
  config_.limits.handshake_timeout_ms = 5000;
  Start();
  std::vector<int> silent;
  for (int i = 0; i < 300; ++i) silent.push_back(Connect());
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  char byte = 0;
  for (const int fd : silent) {
    EXPECT_LE(recv(fd, &byte, 1, 0), 0);  // Waits until the daemon has had enough of it.
    close(fd);
  }
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
}

TEST_F(TlsTest, ConnectionsBeyondTheLimitWaitAndTheUnixSocketStaysOpen) {
  config_.limits.connections = 10;
  config_.limits.handshake_timeout_ms = 1000;
  std::ostringstream text;
  log_.emplace(std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  Start();
  std::vector<int> silent;
  for (int i = 0; i < 30; ++i) silent.push_back(Connect());
  Context context;
  v1::ListCachesResponse listed;
  EXPECT_THAT(caches().ListCaches(&context, {}, &listed), Succeeds());
  std::atomic<bool> stop{false};
  int most = 0;
  std::thread watch([&] {
    while (!stop) most = std::max(most, Accepted());
  });
  // Its turn comes when those before it have been closed.
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  stop = true;
  watch.join();
  EXPECT_EQ(most, 10);
  for (const int fd : silent) close(fd);
  Stop();
  EXPECT_THAT(text.str(), HasSubstr("connections_full limit=10"));
}

}  // namespace
}  // namespace dmcached
