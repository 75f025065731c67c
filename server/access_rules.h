// What a request demands of its caller, read from the options of its descriptor (dmcached/v1/access.proto).
#ifndef DMCACHED_SERVER_ACCESS_RULES_H_
#define DMCACHED_SERVER_ACCESS_RULES_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/message.h"
#include "server/role.h"

namespace dmcached {

struct Demand {
  Role role = Role::kAdmin;
  std::string method;              // Of the rpc, for example "InsertMappings".
  std::string carried;             // Of a message that carries the request of another rpc: that one.
  std::string cache;               // Empty: the request is about none in particular.
  std::vector<std::string> paths;  // Of this machine, as the request names them.
};

class AccessRules {  // Thread-safe: constant once made.
 public:
  // Walks the services of dmcached.v1.  An rpc without a role demands kAdmin.
  AccessRules();

  // `request` is a request of one of these services.  In a Mutate message the mutation is judged as its own rpc would
  // be.  A message of another type demands kAdmin.
  Demand DemandOf(const google::protobuf::Message& request) const;

 private:
  // Of one type of request.
  struct Rules {
    Role role = Role::kAdmin;
    std::string method;
    const google::protobuf::FieldDescriptor* cache = nullptr;
    std::vector<const google::protobuf::FieldDescriptor*> paths;
    std::vector<std::pair<const google::protobuf::FieldDescriptor*, Role>> raising;
    std::vector<const google::protobuf::FieldDescriptor*> nested;  // Messages that may be requests.
  };

  static Rules RulesOf(const google::protobuf::MethodDescriptor& method);
  void Add(const google::protobuf::ServiceDescriptor& service);
  void Raise(const google::protobuf::Message& request, const Rules& rules, Demand& demand) const;

  // Every request type belongs to one rpc.
  std::map<const google::protobuf::Descriptor*, Rules> rules_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_ACCESS_RULES_H_
