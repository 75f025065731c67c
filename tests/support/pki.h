// A certificate authority of a test's own, and certificates of any kind from it.
#ifndef DMCACHED_TESTS_SUPPORT_PKI_H_
#define DMCACHED_TESTS_SUPPORT_PKI_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace dmcached {

struct Pair {  // PEM text.
  std::string certificate;
  std::string key;
};

struct Wanted {
  std::string common_name = {};
  std::vector<std::string> names = {};  // "DNS:localhost", "URI:spiffe://fleet/agent", "IP:127.0.0.1".
  // From now; both may be negative, for one that is over.
  std::chrono::seconds begin = std::chrono::hours(-1);
  std::chrono::seconds end = std::chrono::hours(1);
};

class Authority {
 public:
  explicit Authority(const std::string& common_name);
  ~Authority();

  const std::string& certificate() const { return certificate_; }
  // A new key (P-256) with a certificate that this authority signed.
  Pair Issue(const Wanted& wanted) const;

 private:
  struct Signer;

  std::unique_ptr<Signer> signer_;
  std::string certificate_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_PKI_H_
