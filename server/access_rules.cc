#include "server/access_rules.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "dmcached/v1/access.pb.h"
#include "dmcached/v1/cache_service.pb.h"
#include "dmcached/v1/maintenance_service.pb.h"
#include "dmcached/v1/metadata_service.pb.h"
#include "google/protobuf/descriptor.h"

namespace dmcached {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using google::protobuf::Reflection;
using google::protobuf::ServiceDescriptor;

constexpr std::string_view kPathSuffix = "_path";

Role ToRole(v1::Role role) { return role == v1::ROLE_UNSPECIFIED ? Role::kAdmin : static_cast<Role>(role); }

static_assert(static_cast<int>(Role::kReader) == v1::ROLE_READER && static_cast<int>(Role::kAdmin) == v1::ROLE_ADMIN,
              "ToRole keeps the number");

bool IsString(const FieldDescriptor& field) {
  return field.type() == FieldDescriptor::TYPE_STRING && !field.is_repeated();
}

}  // namespace

AccessRules::AccessRules() {
  for (const google::protobuf::Descriptor* in_file :
       {v1::GetCacheRequest::descriptor(), v1::CommitRequest::descriptor(), v1::CheckRequest::descriptor()}) {
    const FileDescriptor& file = *in_file->file();
    for (int i = 0; i < file.service_count(); ++i) Add(*file.service(i));
  }
}

void AccessRules::Add(const ServiceDescriptor& service) {
  for (int i = 0; i < service.method_count(); ++i) {
    const MethodDescriptor& method = *service.method(i);
    const bool is_new = rules_.emplace(method.input_type(), RulesOf(method)).second;
    DMCACHED_CHECK(is_new);
  }
}

AccessRules::Rules AccessRules::RulesOf(const MethodDescriptor& method) {
  Rules rules;
  rules.role = ToRole(method.options().GetExtension(v1::role));
  rules.method = method.name();
  for (int i = 0; i < method.input_type()->field_count(); ++i) {
    const FieldDescriptor* field = method.input_type()->field(i);
    if (IsString(*field) && (field->name() == "cache" || field->name() == "name")) rules.cache = field;
    if (IsString(*field) && field->name().ends_with(kPathSuffix)) rules.paths.push_back(field);
    if (field->options().HasExtension(v1::set_role)) {
      rules.raising.emplace_back(field, ToRole(field->options().GetExtension(v1::set_role)));
    }
    if (field->message_type() != nullptr && !field->is_repeated()) rules.nested.push_back(field);
  }
  return rules;
}

void AccessRules::Raise(const Message& request, const Rules& rules, Demand& demand) const {
  const Reflection& reflection = *request.GetReflection();
  demand.role = std::max(demand.role, rules.role);
  for (const auto& [field, role] : rules.raising) {
    if (reflection.HasField(request, field)) demand.role = std::max(demand.role, role);
  }
  for (const FieldDescriptor* field : rules.nested) {
    if (!reflection.HasField(request, field)) continue;
    const auto found = rules_.find(field->message_type());
    if (found == rules_.end()) continue;
    demand.carried = found->second.method;
    Raise(reflection.GetMessage(request, field), found->second, demand);
  }
}

Demand AccessRules::DemandOf(const Message& request) const {
  Demand demand;
  const auto found = rules_.find(request.GetDescriptor());
  if (found == rules_.end()) return demand;
  const Rules& rules = found->second;
  const Reflection& reflection = *request.GetReflection();
  demand.role = Role::kNone;
  demand.method = rules.method;
  if (rules.cache != nullptr) demand.cache = reflection.GetString(request, rules.cache);
  for (const FieldDescriptor* field : rules.paths) {
    if (std::string path = reflection.GetString(request, field); !path.empty()) demand.paths.push_back(std::move(path));
  }
  Raise(request, rules, demand);
  return demand;
}

}  // namespace dmcached
