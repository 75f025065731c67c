// Random request ids.
#ifndef DMCACHED_CLIENT_SRC_REQUEST_ID_H_
#define DMCACHED_CLIENT_SRC_REQUEST_ID_H_

#include <string>

namespace dmcached::client {

// 128 random bits as 32 hex digits.  Thread-safe.
std::string NewRequestId();

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_REQUEST_ID_H_
