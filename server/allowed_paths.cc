#include "server/allowed_paths.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

namespace dmcached {
namespace {

// Where `path` leads: what exists of it without links, then the rest, in which ".." is applied.  Nothing: a loop of
// links, or a folder that may not be read.
std::optional<std::string> Follow(const std::string& path) {
  std::error_code error;
  const std::filesystem::path followed = std::filesystem::weakly_canonical(path, error);
  if (error) return std::nullopt;
  return followed.string();
}

std::optional<std::string> FollowPattern(const std::string& pattern) {
  const size_t wild = pattern.find_first_of("*?[\\");
  if (wild == std::string::npos) return Follow(pattern);
  const size_t folder_end = pattern.rfind('/', wild);
  if (folder_end == 0) return pattern;
  const std::optional<std::string> folder = Follow(pattern.substr(0, folder_end));
  if (!folder.has_value()) return std::nullopt;
  return *folder + pattern.substr(folder_end);
}

}  // namespace

bool AllowedPaths::Allows(const std::string& path) const {
  if (path.find('\0') != std::string::npos) return false;
  const std::optional<std::string> followed = Follow(path);
  if (!followed.has_value()) return false;
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& pattern) {
    const std::optional<std::string> fits = FollowPattern(pattern);
    // A * does not cross a slash: a folder that is allowed opens no folder in it.
    return fits.has_value() && fnmatch(fits->c_str(), followed->c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
  });
}

bool FitsAny(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

}  // namespace dmcached
