#include "server/app.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <limits>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/status.h"
#include "core/device/file_device.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/server_builder.h"
#include "server/listen_address.h"
#include "server/version.h"

namespace dmcached {
namespace {

constexpr Duration kTickInterval = std::chrono::milliseconds(20);
// The states of the caches are looked at on every fifth tick.
constexpr int kTicksPerLook = 5;
constexpr Duration kTlsLookInterval = std::chrono::seconds(1);
constexpr size_t kMaxWaitingReads = 1024;
constexpr size_t kMaxWaitingPaths = 1024;
// What is still open after the engine has answered everything (idle streams) is cut off after this.
constexpr std::chrono::milliseconds kDrainTime(1000);
constexpr int kKeepaliveTimeMs = 30000;
constexpr int kKeepaliveTimeoutMs = 10000;
constexpr int kMinPingIntervalMs = 10000;

EngineOptions ToEngineOptions(const Config& config) {
  EngineOptions options;
  options.commit_interval = std::chrono::milliseconds(config.commit_interval_ms);
  options.max_reservation_ttl = std::chrono::milliseconds(config.max_reservation_ttl_ms);
  options.recover_interval = std::chrono::milliseconds(config.recover_interval_ms);
  options.block_cache_bytes = config.block_cache_bytes;
  std::random_device random;
  options.seed = (uint64_t{random()} << 32) | random();
  return options;
}

DeviceOpener OpenerOr(DeviceOpener opener, const Clock& clock) {
  if (opener != nullptr) return opener;
  return [&clock](const DeviceRequest& request) { return OpenFileDevice(request, &clock); };
}

OpenOptions ToOpenOptions(const CacheConfig& cache) {
  OpenOptions options;
  options.name = cache.name;
  options.metadata_path = cache.metadata;
  options.fast_path = cache.fast;
  options.origin_path = cache.origin;
  options.read_only = cache.read_only;
  options.dirty_tracking = cache.dirty_tracking;
  options.keep_if_failed = true;
  return options;
}

size_t ReaderThreads() { return std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 8); }

void SetArguments(const Limits& limits, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(limits.streams_per_connection));
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, static_cast<int>(limits.handshake_timeout_ms));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveTimeMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingIntervalMs);
}

}  // namespace

App::App(const Config& config, const Log& log, DeviceOpener opener)
    : log_(log),
      readers_("reader", ReaderThreads(), kMaxWaitingReads),
      opener_(OpenerOr(std::move(opener), clock_)),
      calls_in_flight_(config.limits.calls_per_identity),
      authorization_(config, calls_in_flight_, log_),
      engine_(ToEngineOptions(config), opener_, clock_, executors_, readers_),
      checks_(engine_, opener_, executors_, readers_),
      path_follower_("paths", 1, kMaxWaitingPaths),
      cache_service_(engine_, authorization_, path_follower_, readers_, log_),
      metadata_service_(engine_, authorization_, readers_, rpc_metrics_, clock_),
      maintenance_service_(checks_, authorization_, path_follower_),
      monitor_(engine_, health_, log_),
      collector_(engine_, readers_, rpc_metrics_, authorization_, credentials_) {}

absl::StatusOr<std::unique_ptr<App>> App::Start(const Config& config, const Log& log, DeviceOpener opener) {
  std::unique_ptr<App> app(new App(config, log, std::move(opener)));
  if (config.tls.has_value()) {
    DMCACHED_ASSIGN_OR_RETURN(app->credentials_, Credentials::Load(*config.tls, app->log_, app->clock_));
    // Not on the engine's ticker: what holds these files may hang.
    app->tls_ticker_ = std::make_unique<Ticker>(kTlsLookInterval, [raw = app.get()] { raw->credentials_->Look(); });
  }
  DMCACHED_RETURN_IF_ERROR(app->LockSockets(config));
  // A cache that is being opened may need ticks.
  app->ticker_ = std::make_unique<Ticker>(kTickInterval, [raw = app.get()] { raw->Tick(); });
  app->OpenCaches(config);
  DMCACHED_RETURN_IF_ERROR(app->ServeMetrics(config));
  DMCACHED_RETURN_IF_ERROR(app->Serve(config));
  app->ready_ = true;
  app->health_.SetReady(true);
  log.Info("serving", {{"version", Version()}, {"listen", absl::StrJoin(app->addresses_, ",")}});
  return app;
}

App::~App() { (void)Shutdown(); }

absl::Status App::LockSockets(const Config& config) {
  for (const std::string& text : config.listen) {
    DMCACHED_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(text));
    if (!address.is_unix()) continue;
    DMCACHED_ASSIGN_OR_RETURN(locks_.emplace_back(), SocketLock::Acquire(address.unix_path));
  }
  return absl::OkStatus();
}

void App::OpenCaches(const Config& config) {
  std::vector<std::future<void>> opened;
  for (const CacheConfig& cache : config.caches) {
    auto done = std::make_shared<std::promise<void>>();
    opened.push_back(done->get_future());
    engine_.Open(ToOpenOptions(cache), [this, done, name = cache.name](absl::StatusOr<OpenResult> result) {
      if (result.ok()) {
        log_.Info("cache_open", {{"cache", name}, {"adopted", result->adopted ? "true" : "false"}});
      } else {
        log_.Error("cache_open_failed", {{"cache", name}, {"error", ErrorText(result.status())}});
      }
      done->set_value();
    });
  }
  for (std::future<void>& future : opened) future.wait();
}

absl::Status App::Serve(const Config& config) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetArguments(config.limits, builder);
  acceptor_ = std::make_unique<Acceptor>(config.limits.connections, log_);
  for (const std::string& text : config.listen) DMCACHED_RETURN_IF_ERROR(Listen(config, text, builder));
  builder.RegisterService(&cache_service_);
  builder.RegisterService(&metadata_service_);
  builder.RegisterService(&maintenance_service_);
  builder.RegisterService(&health_);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(std::make_unique<RpcMetricsFactory>(rpc_metrics_, clock_));
  if (credentials_ != nullptr) interceptors.push_back(calls_in_flight_.Counter());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) return MakeError(Reason::kIoError, "gRPC cannot start its server; its log says why");
  acceptor_->Start();
  return absl::OkStatus();
}

absl::Status App::Listen(const Config& config, const std::string& text, grpc::ServerBuilder& builder) {
  DMCACHED_ASSIGN_OR_RETURN(const ListenAddress address, ParseListenAddress(text));
  DMCACHED_ASSIGN_OR_RETURN(std::unique_ptr<ListeningSocket> socket,
                            ListeningSocket::Listen(address, {config.socket_mode, config.socket_group}));
  addresses_.push_back(socket->address().ToString());
  const bool with_tls = !address.is_unix() && credentials_ != nullptr;
  acceptor_->Add(std::move(socket), builder.experimental().AddExternalConnectionAcceptor(
                                        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
                                        with_tls ? credentials_->ForListener() : grpc::InsecureServerCredentials()));
  return absl::OkStatus();
}

absl::Status App::ServeMetrics(const Config& config) {
  if (config.metrics.empty()) return absl::OkStatus();
  DMCACHED_ASSIGN_OR_RETURN(const ListenAddress address, ParseHostPort(config.metrics));
  DMCACHED_ASSIGN_OR_RETURN(http_, HttpServer::Start(address, collector_, [this] { return ready_.load(); }));
  return absl::OkStatus();
}

void App::Tick() {
  engine_.Tick();
  if (ticks_++ % kTicksPerLook == 0) monitor_.Look();
}

std::string App::Banner() const {
  std::string line = absl::StrCat("dmcached ", Version(), " serving on ", absl::StrJoin(addresses_, " "));
  if (http_ != nullptr) absl::StrAppend(&line, " metrics=", http_->address().ToString());
  return line;
}

absl::Status App::Shutdown() {
  if (std::exchange(shut_down_, true)) return absl::OkStatus();
  ready_ = false;
  health_.SetReady(false);
  // The ticker goes on: what was accepted may wait for a commit that a tick starts.
  std::promise<absl::Status> closed;
  engine_.Shutdown([&closed](absl::Status status) { closed.set_value(std::move(status)); });
  absl::Status status = closed.get_future().get();
  if (HasReason(status, Reason::kCacheFailed)) {
    // It had failed before, which was said then; closing it loses nothing more.
    log_.Warning("closed_failed_cache", {{"error", ErrorText(status)}});
    status = absl::OkStatus();
  }
  health_.Shutdown();
  acceptor_ = nullptr;
  const bool served = server_ != nullptr;
  if (served) {
    server_->Shutdown(std::chrono::system_clock::now() + kDrainTime);
    server_->Wait();
    server_ = nullptr;
  }
  ticker_ = nullptr;
  http_ = nullptr;
  if (!status.ok()) {
    log_.Error("stopped", {{"error", ErrorText(status)}});
  } else if (served) {  // A daemon that could not start has one sentence to say, and main says it.
    log_.Info("stopped", {});
  }
  return status;
}

}  // namespace dmcached
