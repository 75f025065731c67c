// The daemon without its process: builds every part, serves, and stops in order.
#ifndef DMCACHED_SERVER_APP_H_
#define DMCACHED_SERVER_APP_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/cache/engine.h"
#include "core/device/device_request.h"
#include "core/maintenance/check_runner.h"
#include "grpcpp/server.h"
#include "server/acceptor.h"
#include "server/authorization.h"
#include "server/cache_service.h"
#include "server/calls_in_flight.h"
#include "server/config.h"
#include "server/credentials.h"
#include "server/executor.h"
#include "server/health.h"
#include "server/http.h"
#include "server/log.h"
#include "server/maintenance_service.h"
#include "server/metadata_service.h"
#include "server/metrics_collector.h"
#include "server/rpc_metrics.h"
#include "server/socket_lock.h"
#include "server/state_monitor.h"
#include "server/system_clock.h"
#include "server/ticker.h"

namespace dmcached {

class App {
 public:
  // `config` passed CheckConfig.  `opener`: who opens devices; null: files and block devices of this machine.
  // Takes the socket locks, opens the configured caches (one that cannot be opened stays listed as failed), then
  // serves. Errors: kFailedPrecondition (DEVICE_IN_USE): another daemon has the socket, or an address cannot be had;
  // kInternal (IO_ERROR), kInvalidArgument (INVALID_REQUEST): SocketLock, Credentials, ListeningSocket.
  static absl::StatusOr<std::unique_ptr<App>> Start(const Config& config, const Log& log,
                                                    DeviceOpener opener = nullptr);
  // Shuts down if nobody did.
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  // As they were really bound, in the order of the configuration.
  const std::vector<std::string>& addresses() const { return addresses_; }
  // HOST:PORT; empty: no metrics.
  std::string metrics_address() const { return http_ == nullptr ? "" : http_->address().ToString(); }
  // One line for whoever started the daemon: version and addresses.
  std::string Banner() const;

  // Health off, new work refused, what was accepted finished, every cache committed clean and closed, then the
  // listeners. The first error of a close is returned.  Later calls do nothing.
  absl::Status Shutdown();

 private:
  App(const Config& config, const Log& log, DeviceOpener opener);

  absl::Status LockSockets(const Config& config);
  void OpenCaches(const Config& config);
  absl::Status Serve(const Config& config);
  absl::Status Listen(const Config& config, const std::string& text, grpc::ServerBuilder& builder);
  absl::Status ServeMetrics(const Config& config);
  void Tick();

  // In the order of construction: each uses only those before it.
  const Log log_;
  SystemClock clock_;
  ThreadExecutorFactory executors_;
  ThreadPool readers_;
  const DeviceOpener opener_;
  CallsInFlight calls_in_flight_;
  const Authorization authorization_;
  std::unique_ptr<Credentials> credentials_;  // Null: no TLS.
  RpcMetrics rpc_metrics_;
  Engine engine_;
  CheckRunner checks_;
  ThreadPool path_follower_;  // Alone: a mount that hangs keeps only what waits for paths.
  CacheServiceImpl cache_service_;
  MetadataServiceImpl metadata_service_;
  MaintenanceServiceImpl maintenance_service_;
  HealthService health_;
  StateMonitor monitor_;
  MetricsCollector collector_;
  std::atomic<bool> ready_{false};
  bool shut_down_ = false;
  int ticks_ = 0;  // Belongs to the ticker.

  std::vector<std::unique_ptr<SocketLock>> locks_;
  std::vector<std::string> addresses_;
  std::unique_ptr<Ticker> ticker_;
  std::unique_ptr<Ticker> tls_ticker_;
  std::unique_ptr<Acceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_APP_H_
