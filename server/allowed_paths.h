// Which paths of this machine a caller may name.
#ifndef DMCACHED_SERVER_ALLOWED_PATHS_H_
#define DMCACHED_SERVER_ALLOWED_PATHS_H_

#include <string>
#include <utility>
#include <vector>

#include "server/path_target.h"

namespace dmcached {

// A path is judged by where it leads: symbolic links and ".." are followed first, so a link inside an allowed folder
// does not open what lies outside.  A pattern without *, ? and [ is followed too, so the usual names of volumes, which
// are links, can be allowed; of others the folders before the first of these are.
//
// What is named is opened after it was judged: whoever may put links into an allowed folder may still exchange one in
// between, so folders that others can write to are no good place for devices.
class AllowedPaths {  // Thread-safe: constant once made.
 public:
  explicit AllowedPaths(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  // By the name of `target`, which need not exist.  Reads links of the file system, each time, because they change.
  bool Allows(const PathTarget& target) const;

 private:
  const std::vector<std::string> patterns_;
};

// Whether a name fits one of the globs: * and ? stand for any characters.
bool FitsAny(const std::vector<std::string>& globs, const std::string& name);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_ALLOWED_PATHS_H_
