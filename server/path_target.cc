#include "server/path_target.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <system_error>

namespace dmcached {
namespace {

FileId IdOf(const struct stat& found) {
  const mode_t kind = found.st_mode & S_IFMT;
  if (kind == S_IFBLK || kind == S_IFCHR) return {.kind = kind, .device = found.st_rdev};
  return {.device = found.st_dev, .inode = found.st_ino};
}

}  // namespace

std::optional<PathTarget> FollowPath(const std::string& path) {
  if (path.size() >= PATH_MAX || path.find('\0') != std::string::npos) return std::nullopt;
  std::error_code error;
  const std::filesystem::path followed = std::filesystem::weakly_canonical(path, error);
  if (error) return std::nullopt;
  PathTarget target{.name = followed.string()};
  struct stat found;
  if (::stat(path.c_str(), &found) == 0) {
    target.id = IdOf(found);
  } else if (errno != ENOENT && errno != ENOTDIR) {
    return std::nullopt;
  }
  return target;
}

bool IsAnyByName(const PathTarget& target, const std::vector<PathTarget>& others) {
  return std::any_of(others.begin(), others.end(), [&](const PathTarget& other) { return other.name == target.name; });
}

bool IsAny(const PathTarget& target, const std::vector<PathTarget>& others) {
  return IsAnyByName(target, others) || std::any_of(others.begin(), others.end(), [&](const PathTarget& other) {
           return target.id.has_value() && other.id == target.id;
         });
}

}  // namespace dmcached
