// What a caller may do: the roles of access.proto, and that of a caller that nobody named.
#ifndef DMCACHED_SERVER_ROLE_H_
#define DMCACHED_SERVER_ROLE_H_

#include <optional>
#include <string_view>

namespace dmcached {

// Each includes the ones before it; the numbers are those of v1::Role.
enum class Role { kNone = 0, kReader = 1, kOperator = 2, kAdmin = 3 };

// As the configuration and the metrics spell it: "none", "reader", "operator", "admin".
constexpr std::string_view RoleName(Role role) {
  constexpr std::string_view kNames[] = {"none", "reader", "operator", "admin"};
  return kNames[static_cast<int>(role)];
}

// The role of that name; nothing for any other text, "none" included.
constexpr std::optional<Role> ParseRole(std::string_view text) {
  for (const Role role : {Role::kReader, Role::kOperator, Role::kAdmin}) {
    if (text == RoleName(role)) return role;
  }
  return std::nullopt;
}

}  // namespace dmcached

#endif  // DMCACHED_SERVER_ROLE_H_
