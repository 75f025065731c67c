// Who calls: what the transport vouches for.
#ifndef DMCACHED_SERVER_CALLER_H_
#define DMCACHED_SERVER_CALLER_H_

#include <string>
#include <vector>

#include "grpcpp/server_context.h"

namespace dmcached {

struct Caller {
  bool has_certificate = false;         // False: on a unix socket, or on the loopback without TLS.
  std::vector<std::string> identities;  // Of the certificate, verified; the first is the one that is shown.

  // For logs and errors: the first identity, or where the call came from.
  std::string name;
};

// URI and DNS names of the certificate; its common name if it has neither, because a certificate with names means
// those.  A common name that looks like a URI counts for nothing.
Caller CallerOf(const grpc::ServerContextBase& context);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_CALLER_H_
