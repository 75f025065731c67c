#include "server/tls_files.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;

absl::Status Invalid(absl::string_view message) { return MakeError(Reason::kInvalidRequest, message); }

// OpenSSL's last word about the failure; the queue is empty afterwards.
std::string LastError() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  const std::string text = reason == nullptr ? "no PEM text" : reason;
  ERR_clear_error();
  return text;
}

Bio Reader(const std::string& text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

absl::StatusOr<std::vector<Certificate>> ParseCertificates(const std::string& file, const std::string& text) {
  std::vector<Certificate> certificates;
  const Bio reader = Reader(text);
  while (Certificate next{PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)}) {
    certificates.push_back(std::move(next));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string why = LastError();
  if (certificates.empty()) return Invalid(absl::StrCat(file, " holds no certificate: ", why));
  if (!at_end) return Invalid(absl::StrCat("certificate ", certificates.size() + 1, " of ", file, " is broken: ", why));
  return certificates;
}

// A key with a password is refused: without the callback OpenSSL would ask on the terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return -1; }

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  if (stream) text << stream.rdbuf();
  if (!stream) {
    const int cause = errno == 0 ? EIO : errno;
    return MakeError(cause == ENOENT ? Reason::kDeviceNotFound : Reason::kIoError,
                     absl::StrCat("cannot read ", path, ": ", std::strerror(cause)), cause);
  }
  return text.str();
}

double ExpirySeconds(const X509& certificate) {
  std::tm time = {};
  ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &time);
  return static_cast<double>(timegm(&time));
}

}  // namespace

absl::StatusOr<TlsFiles> ReadTlsFiles(const TlsConfig& config) {
  TlsFiles files;
  DMCACHED_ASSIGN_OR_RETURN(files.certificate, ReadFile(config.certificate));
  DMCACHED_ASSIGN_OR_RETURN(files.key, ReadFile(config.key));
  DMCACHED_ASSIGN_OR_RETURN(files.client_ca, ReadFile(config.client_ca));
  return files;
}

absl::StatusOr<double> CheckTlsFiles(const TlsConfig& config, const TlsFiles& files) {
  ERR_clear_error();
  DMCACHED_ASSIGN_OR_RETURN(const std::vector<Certificate> chain,
                            ParseCertificates(config.certificate, files.certificate));
  DMCACHED_RETURN_IF_ERROR(ParseCertificates(config.client_ca, files.client_ca).status());
  const Key key(PEM_read_bio_PrivateKey(Reader(files.key).get(), nullptr, NoPassword, nullptr));
  if (key == nullptr)
    return Invalid(absl::StrCat(config.key, " holds no private key without a password: ", LastError()));
  // A context applies the rules that the handshake will.
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate(context.get(), chain.front().get()) != 1) {
    return Invalid(absl::StrCat(config.certificate, " cannot be used: ", LastError()));
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return Invalid(absl::StrCat(config.key, " is not the key of ", config.certificate, ": ", LastError()));
  }
  return ExpirySeconds(*chain.front());
}

}  // namespace dmcached
