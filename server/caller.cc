#include "server/caller.h"

#include <algorithm>
#include <memory>

#include "grpc/grpc_security_constants.h"
#include "grpcpp/security/auth_context.h"

namespace dmcached {
namespace {

void Append(const grpc::AuthContext& auth, const char* property, std::vector<std::string>& identities) {
  for (const grpc::string_ref& value : auth.FindPropertyValues(property)) {
    if (!value.empty()) identities.emplace_back(value.data(), value.size());
  }
}

bool OverTls(const grpc::AuthContext& auth) {
  const std::vector<grpc::string_ref> types = auth.FindPropertyValues(GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME);
  return std::any_of(types.begin(), types.end(), [](const grpc::string_ref& type) {
    return type == GRPC_SSL_TRANSPORT_SECURITY_TYPE || type == GRPC_TLS_TRANSPORT_SECURITY_TYPE;
  });
}

}  // namespace

Caller CallerOf(const grpc::ServerContextBase& context) {
  Caller caller;
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  // Not IsPeerAuthenticated: that is false for a certificate without any name, which must not pass for a unix caller.
  caller.has_certificate = auth != nullptr && OverTls(*auth);
  if (caller.has_certificate) {
    Append(*auth, GRPC_PEER_URI_PROPERTY_NAME, caller.identities);
    Append(*auth, GRPC_PEER_DNS_PROPERTY_NAME, caller.identities);
    if (caller.identities.empty()) {
      Append(*auth, GRPC_X509_CN_PROPERTY_NAME, caller.identities);
      // Authorities check names of the other kinds; this one is often the caller's own choice.
      std::erase_if(caller.identities, [](const std::string& name) { return name.find("://") != std::string::npos; });
    }
    caller.name = caller.identities.empty() ? "a certificate without a name" : caller.identities.front();
  } else {
    // The kernel does not say the path of a client's end, so this is "unix:".
    caller.name = context.peer().starts_with("unix:") ? "unix" : "loopback";
  }
  return caller;
}

}  // namespace dmcached
