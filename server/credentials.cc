#include "server/credentials.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "grpc/grpc.h"
#include "grpc/grpc_security.h"

namespace dmcached {

// gRPC asks it for the certificate at every handshake.  C++ has no credentials that do so: this wraps the C ones.
class Credentials::Listener final : public grpc::ServerCredentials {
 public:
  explicit Listener(const Credentials& owner) : owner_(owner) {}

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    grpc_server_credentials* credentials =
        grpc_ssl_server_credentials_create_with_options(grpc_ssl_server_credentials_create_options_using_config_fetcher(
            GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, &Fetch, this));
    const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  static grpc_ssl_certificate_config_reload_status Fetch(void* listener, grpc_ssl_server_certificate_config** config) {
    auto* self = static_cast<Listener*>(listener);
    // gRPC holds a lock of its own around this.
    const std::optional<TlsFiles> files = self->owner_.NewerThan(&self->generation_);
    if (!files.has_value()) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {files->key.c_str(), files->certificate.c_str()};
    *config = grpc_ssl_server_certificate_config_create(files->client_ca.c_str(), &pair, 1);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const Credentials& owner_;
  uint64_t generation_ = 0;  // That gRPC has.
};

absl::StatusOr<std::unique_ptr<Credentials>> Credentials::Load(const TlsConfig& config, const Log& log,
                                                               const Clock& clock) {
  DMCACHED_ASSIGN_OR_RETURN(TlsFiles files, ReadTlsFiles(config));
  // One that is over is taken at start: the unix socket needs none, and callers refuse it by themselves.
  DMCACHED_ASSIGN_OR_RETURN(const double expiry, CheckTlsFiles(config, files));
  return std::unique_ptr<Credentials>(new Credentials(config, log, clock, std::move(files), expiry));
}

Credentials::Credentials(TlsConfig config, const Log& log, const Clock& clock, TlsFiles files, double expiry_seconds)
    : config_(std::move(config)), log_(log), clock_(clock), files_(std::move(files)), expiry_seconds_(expiry_seconds) {}

Credentials::~Credentials() = default;

std::shared_ptr<grpc::ServerCredentials> Credentials::ForListener() {
  return listeners_.emplace_back(std::make_shared<Listener>(*this));
}

std::optional<TlsFiles> Credentials::NewerThan(uint64_t* generation) const {
  MutexLock lock(mutex_);
  if (std::exchange(*generation, generation_) == generation_) return std::nullopt;
  return files_;
}

void Credentials::Look() {
  absl::StatusOr<TlsFiles> found = ReadTlsFiles(config_);
  bool in_use = false;
  bool same_certificate = false;
  if (found.ok()) {
    MutexLock lock(mutex_);
    in_use = *found == files_;
    same_certificate = found->certificate == files_.certificate;
  }
  if (in_use) {
    seen_.clear();
    refused_.clear();
    return;
  }
  std::string text =
      found.ok() ? absl::StrCat(found->certificate, found->key, found->client_ca) : found.status().ToString();
  if (std::exchange(seen_, text) != text || refused_ == text) return;
  const absl::StatusOr<double> expiry = found.ok() ? CheckTlsFiles(config_, *found) : found.status();
  const double now = std::chrono::duration<double>(clock_.Wall()).count();
  // Authorities must be able to go while a certificate that is over is still in use.
  if (expiry.ok() && (*expiry > now || same_certificate)) return Take(*std::move(found), *expiry);
  refused_ = std::move(text);
  Refuse(expiry.ok() ? MakeError(Reason::kInvalidRequest, absl::StrCat(config_.certificate, " has expired"))
                     : expiry.status());
}

void Credentials::Take(TlsFiles files, double expiry_seconds) {
  {
    MutexLock lock(mutex_);
    files_ = std::move(files);
    expiry_seconds_ = expiry_seconds;
    ++generation_;
  }
  log_.Info("tls_reloaded", {{"certificate", config_.certificate}});
}

void Credentials::Refuse(const absl::Status& why) {
  {
    MutexLock lock(mutex_);
    ++reload_failures_;
  }
  log_.Error("tls_reload_failed", {{"certificate", config_.certificate}, {"error", ErrorText(why)}});
}

void Credentials::AddTo(MetricFamilies& families) const {
  MutexLock lock(mutex_);
  families.Gauge("dmcached_tls_certificate_expiry_timestamp_seconds", "When the certificate in use is over.", {},
                 expiry_seconds_);
  families.Counter("dmcached_tls_reload_failures_total",
                   "Changes of the TLS files that were not taken; what was in use stays.", {},
                   static_cast<double>(reload_failures_));
}

}  // namespace dmcached
