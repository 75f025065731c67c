#include "tests/support/pki.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>

#include "absl/strings/str_join.h"
#include "core/base/check.h"

namespace dmcached {
namespace {

struct Free {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free_all(bio); }
  void operator()(X509_EXTENSION* extension) const { X509_EXTENSION_free(extension); }
};
using Certificate = std::unique_ptr<X509, Free>;
using Key = std::unique_ptr<EVP_PKEY, Free>;

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(length));
}

std::string ToPem(X509* certificate) {
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  DMCACHED_CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return Text(bio.get());
}

std::string ToPem(EVP_PKEY* key) {
  const std::unique_ptr<BIO, Free> bio(BIO_new(BIO_s_mem()));
  DMCACHED_CHECK(PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Text(bio.get());
}

void Extend(X509* certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  const std::unique_ptr<X509_EXTENSION, Free> extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  DMCACHED_CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

// Everything but issuer and signature.
Certificate Unsigned(const Wanted& wanted, EVP_PKEY* key) {
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  int serial = 0;
  DMCACHED_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial & 0x7fffffff);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), wanted.begin.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), wanted.end.count());
  X509_set_pubkey(certificate.get(), key);
  if (!wanted.common_name.empty()) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wanted.common_name.c_str()), -1, -1, 0);
  }
  if (!wanted.names.empty()) Extend(certificate.get(), NID_subject_alt_name, absl::StrJoin(wanted.names, ","));
  return certificate;
}

}  // namespace

struct Authority::Signer {
  Key key;
  Certificate certificate;
};

Authority::Authority(const std::string& common_name) : signer_(std::make_unique<Signer>()) {
  signer_->key = Key(EVP_EC_gen("P-256"));
  signer_->certificate = Unsigned({.common_name = common_name}, signer_->key.get());
  X509* certificate = signer_->certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  Extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
  DMCACHED_CHECK(X509_sign(certificate, signer_->key.get(), EVP_sha256()) > 0);
  certificate_ = ToPem(certificate);
}

Authority::~Authority() = default;

Pair Authority::Issue(const Wanted& wanted) const {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = Unsigned(wanted, key.get());
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer_->certificate.get()));
  DMCACHED_CHECK(X509_sign(certificate.get(), signer_->key.get(), EVP_sha256()) > 0);
  return {ToPem(certificate.get()), ToPem(key.get())};
}

}  // namespace dmcached
