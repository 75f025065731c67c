// The daemon's certificate and key, and whose signature its callers need, as they are in the files.
#ifndef DMCACHED_SERVER_TLS_FILES_H_
#define DMCACHED_SERVER_TLS_FILES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/config.h"

namespace dmcached {

struct TlsFiles {  // PEM text.
  std::string certificate;
  std::string key;
  std::string client_ca;
  bool operator==(const TlsFiles&) const = default;
};

// What the files hold, unseen.  Errors: kNotFound (DEVICE_NOT_FOUND), kInternal (IO_ERROR), with the file and why.
absl::StatusOr<TlsFiles> ReadTlsFiles(const TlsConfig& config);

// Whether TLS can work with them: all can be parsed, the key is that of the first certificate, and none is weaker than
// OpenSSL allows.  gRPC itself takes a wrong pair and then fails every handshake.  Returns when the certificate is
// over, in seconds since the epoch; that may be in the past. Errors: kInvalidArgument (INVALID_REQUEST), naming the
// file of `config`.
absl::StatusOr<double> CheckTlsFiles(const TlsConfig& config, const TlsFiles& files);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_TLS_FILES_H_
