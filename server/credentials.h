// TLS of the listeners: every caller shows a certificate, and ours is changed without a restart.
#ifndef DMCACHED_SERVER_CREDENTIALS_H_
#define DMCACHED_SERVER_CREDENTIALS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "grpcpp/security/server_credentials.h"
#include "server/config.h"
#include "server/log.h"
#include "server/metric_families.h"
#include "server/tls_files.h"

namespace dmcached {

// The files are looked at from time to time.  What has changed is used from the next handshake on, if it is sound and
// was found twice the same, because certificate and key are not written in one step; else what was in use stays.
// Connections that are open are not touched.
class Credentials {  // Thread-safe.
 public:
  // `log` and `clock` outlive it.  Errors: those of ReadTlsFiles and CheckTlsFiles.
  static absl::StatusOr<std::unique_ptr<Credentials>> Load(const TlsConfig& config, const Log& log, const Clock& clock);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // For one listener: TLS 1.2 or newer, and the caller's certificate is required and verified.  This object outlives
  // the server.
  std::shared_ptr<grpc::ServerCredentials> ForListener();

  // Looks at the files.  Not by two threads at a time.
  void Look();

  void AddTo(MetricFamilies& families) const;

 private:
  class Listener;

  Credentials(TlsConfig config, const Log& log, const Clock& clock, TlsFiles files, double expiry_seconds);

  // What is in use if its number is not `*generation`, which then becomes it.
  std::optional<TlsFiles> NewerThan(uint64_t* generation) const;
  void Take(TlsFiles files, double expiry_seconds);
  void Refuse(const absl::Status& why);

  const TlsConfig config_;
  const Log& log_;
  const Clock& clock_;
  std::vector<std::shared_ptr<Listener>> listeners_;

  // Of Look.
  std::string seen_;     // What the last look found, if it is not in use.
  std::string refused_;  // What was found wrong; counted once.

  mutable Mutex mutex_;
  TlsFiles files_ ABSL_GUARDED_BY(mutex_);  // In use.
  double expiry_seconds_ ABSL_GUARDED_BY(mutex_);
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t reload_failures_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CREDENTIALS_H_
