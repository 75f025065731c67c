#include "server/allowed_paths.h"

#include <fnmatch.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

namespace dmcached {
namespace {

constexpr std::string_view kWild = "*?[\\";

// Where `path` leads: what exists of it without links, then the rest, in which ".." is applied.  Nothing: a loop of
// links, a folder that may not be read, or no path at all.
std::optional<std::string> Follow(const std::string& path) {
  if (path.size() >= PATH_MAX || path.find('\0') != std::string::npos) return std::nullopt;
  std::error_code error;
  const std::filesystem::path followed = std::filesystem::weakly_canonical(path, error);
  if (error) return std::nullopt;
  return followed.string();
}

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
  const std::optional<std::string> plain = Follow(pattern.substr(0, plain_end));
  if (!plain.has_value()) return std::nullopt;
  return Literal(*plain) + pattern.substr(plain_end);
}

}  // namespace

bool AllowedPaths::Allows(const std::string& path) const {
  const std::optional<std::string> followed = Follow(path);
  if (!followed.has_value()) return false;
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const std::string& pattern) {
    const std::optional<std::string> fits = FollowPattern(pattern);
    // A * does not cross a slash: a folder that is allowed opens no folder in it.
    return fits.has_value() && fnmatch(fits->c_str(), followed->c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
  });
}

bool LeadsToAny(const std::string& path, const std::vector<std::string>& others) {
  const std::optional<std::string> followed = Follow(path);
  return followed.has_value() &&
         std::any_of(others.begin(), others.end(), [&](const std::string& other) { return Follow(other) == followed; });
}

bool FitsAny(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return fnmatch(glob.c_str(), name.c_str(), 0) == 0; });
}

}  // namespace dmcached
