// /metrics, /healthz and /readyz over plain HTTP, on the web server that prometheus-cpp brings (CivetWeb).
#ifndef DMCACHED_SERVER_HTTP_H_
#define DMCACHED_SERVER_HTTP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "prometheus/collectable.h"
#include "server/listen_address.h"

class CivetHandler;
class CivetServer;

namespace dmcached {

class HttpServer {
 public:
  // Serves at once.  `collector` and what `ready` uses outlive the server; `ready` is called from any thread.
  // Errors: kFailedPrecondition (DEVICE_IN_USE): the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const ListenAddress& address,
                                                           const prometheus::Collectable& collector,
                                                           std::function<bool()> ready);
  // Waits for answers under way.
  ~HttpServer();

  // With the port that was really bound.
  const ListenAddress& address() const { return address_; }

 private:
  HttpServer();

  ListenAddress address_;
  std::vector<std::unique_ptr<CivetHandler>> handlers_;
  std::unique_ptr<CivetServer> server_;  // Goes before the handlers.
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_HTTP_H_
