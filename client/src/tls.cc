#include "client/src/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "dmcached/status.h"

namespace dmcached::client {
namespace {

absl::Status Invalid(absl::string_view message) {
  return MakeError(absl::StatusCode::kInvalidArgument, "INVALID_REQUEST", message);
}

constexpr unsigned kSecondsBetweenLooks = 5;

// `what`: in the words of a sentence, for example "the key".
absl::Status CheckPem(const std::string& what, const std::string& path) {
  if (path.empty()) {
    return Invalid(absl::StrCat("TLS needs a CA, a certificate and a key; ", what, " is not given"));
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file) {
    return Invalid(
        absl::StrCat("cannot read ", what, " ", path, ": ", errno == 0 ? "it is empty" : std::strerror(errno)));
  }
  if (!absl::StrContains(text.str(), "-----BEGIN ")) return Invalid(absl::StrCat(what, " ", path, " is not PEM text"));
  return absl::OkStatus();
}

}  // namespace

bool UsesTls(const ClientOptions& options) {
  const TlsOptions& tls = options.tls;
  return !absl::StartsWith(options.address, "unix:") &&
         !(tls.ca.empty() && tls.certificate.empty() && tls.key.empty() && tls.server_name.empty());
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const ClientOptions& options) {
  if (!UsesTls(options)) return grpc::InsecureChannelCredentials();
  const TlsOptions& tls = options.tls;
  for (const auto& [what, path] :
       {std::pair("the CA", tls.ca), std::pair("the certificate", tls.certificate), std::pair("the key", tls.key)}) {
    const absl::Status readable = CheckPem(what, path);
    if (!readable.ok()) return readable;
  }
  grpc::experimental::TlsChannelCredentialsOptions wanted;
  wanted.set_certificate_provider(std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      tls.key, tls.certificate, tls.ca, kSecondsBetweenLooks));
  wanted.watch_root_certs();
  wanted.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(wanted);
}

}  // namespace dmcached::client
