#include "server/http.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "CivetServer.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "prometheus/text_serializer.h"

namespace dmcached {
namespace {

// One answer with everything a client needs; nothing is cached on the way.
void Answer(mg_connection* connection, const char* status, const char* type, const std::string& body) {
  const std::string answer =
      absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Type: ", type,
                   "\r\nCache-Control: no-store\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
  mg_write(connection, answer.data(), answer.size());
}

class MetricsHandler : public CivetHandler {
 public:
  explicit MetricsHandler(const prometheus::Collectable& collector) : collector_(collector) {}

  bool handleGet(CivetServer* /*server*/, mg_connection* connection) override {
    Answer(connection, "200 OK", "text/plain; version=0.0.4; charset=utf-8",
           prometheus::TextSerializer().Serialize(collector_.Collect()));
    return true;
  }

 private:
  const prometheus::Collectable& collector_;
};

class ProbeHandler : public CivetHandler {
 public:
  explicit ProbeHandler(std::function<bool()> good) : good_(std::move(good)) {}

  bool handleGet(CivetServer* /*server*/, mg_connection* connection) override {
    const bool good = good_();
    Answer(connection, good ? "200 OK" : "503 Service Unavailable", "text/plain; charset=utf-8",
           good ? "ok\n" : "not ready\n");
    return true;
  }

 private:
  const std::function<bool()> good_;
};

// Connects and hangs up.  Whether that succeeds does not matter.
void Knock(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found) != 0) return;
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) {
    (void)connect(fd, found->ai_addr, found->ai_addrlen);
    close(fd);
  }
  freeaddrinfo(found);
}

}  // namespace

HttpServer::HttpServer() = default;

HttpServer::~HttpServer() {
  if (server_ == nullptr) return;
  // CivetWeb notices that it should stop when somebody connects, or else after up to two seconds.
  constexpr std::chrono::milliseconds kKnockInterval(5);
  std::atomic<bool> stopped = false;
  std::thread stop([&] {
    server_->close();
    stopped = true;
  });
  while (!stopped) {
    Knock(address_);
    std::this_thread::sleep_for(kKnockInterval);
  }
  stop.join();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const ListenAddress& address,
                                                              const prometheus::Collectable& collector,
                                                              std::function<bool()> ready) {
  std::unique_ptr<HttpServer> http(new HttpServer());
  http->address_ = address;
  const std::vector<std::string> options = {
      "listening_ports", address.ToString(), "num_threads", "2", "request_timeout_ms", "10000"};
  try {
    http->server_ = std::make_unique<CivetServer>(options);
  } catch (const CivetException&) {
    return MakeError(Reason::kDeviceInUse, absl::StrCat("cannot serve metrics on ", address.ToString(),
                                                        ": the address is in use, not local, or not allowed"));
  }
  const std::vector<int> ports = http->server_->getListeningPorts();
  if (!ports.empty()) http->address_.port = static_cast<uint16_t>(ports[0]);
  const auto serve = [&](const char* path, std::unique_ptr<CivetHandler> handler) {
    http->server_->addHandler(path, handler.get());
    http->handlers_.push_back(std::move(handler));
  };
  serve("/metrics$", std::make_unique<MetricsHandler>(collector));
  serve("/healthz$", std::make_unique<ProbeHandler>([] { return true; }));
  serve("/readyz$", std::make_unique<ProbeHandler>(std::move(ready)));
  return http;
}

}  // namespace dmcached
