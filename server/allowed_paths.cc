#include "server/allowed_paths.h"

#include <fnmatch.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace dmcached {
namespace {

constexpr std::string_view kWild = "*?[\\";

// A glob that only `text` fits.
std::string Literal(const std::string& text) {
  std::string glob;
  for (const char c : text) {
    if (kWild.find(c) != std::string_view::npos) glob += '\\';
    glob += c;
  }
  return glob;
}

std::optional<std::string> FollowPattern(const std::string& pattern) {
  const size_t wild = pattern.find_first_of(kWild);
  const size_t plain_end = wild == std::string::npos ? pattern.size() : pattern.rfind('/', wild);
  if (plain_end == 0) return pattern;
  const std::optional<PathTarget> plain = FollowPath(pattern.substr(0, plain_end));
  if (!plain.has_value()) return std::nullopt;
  return Literal(plain->name) + pattern.substr(plain_end);
}

}  // namespace

bool AllowedPaths::Allows(const PathTarget& target) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& pattern) {
    const std::optional<std::string> fits = FollowPattern(pattern);
    // A * does not cross a slash: a folder that is allowed opens no folder in it.
    return fits.has_value() && fnmatch(fits->c_str(), target.name.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
  });
}

bool FitsAny(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

}  // namespace dmcached
