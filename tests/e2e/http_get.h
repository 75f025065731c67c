// The smallest HTTP client: one GET on loopback.
#ifndef DMCACHED_TESTS_E2E_HTTP_GET_H_
#define DMCACHED_TESTS_E2E_HTTP_GET_H_

#include <string>

namespace dmcached {

struct HttpAnswer {
  int status = 0;  // 0: no answer.
  std::string body;
};

// `address`: 127.0.0.1:PORT.
HttpAnswer HttpGet(const std::string& address, const std::string& path);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_HTTP_GET_H_
