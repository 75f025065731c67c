// Where a path of this machine leads.
#ifndef DMCACHED_SERVER_PATH_TARGET_H_
#define DMCACHED_SERVER_PATH_TARGET_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace dmcached {

// Which device or file it is, whatever it is called: a device has nodes in several places, a file has hard links, and
// both may be seen through bind mounts.  A device made of another one (a partition, a mapping, a loop) is another.
struct FileId {
  mode_t kind = 0;   // S_IFBLK, S_IFCHR, or 0: anything else.
  dev_t device = 0;  // The device itself, or the one that holds the file.
  ino_t inode = 0;   // Of a file.
  bool operator==(const FileId&) const = default;
};

struct PathTarget {
  std::string name;  // What exists of the path without links, then the rest, in which ".." is applied.
  std::optional<FileId> id = std::nullopt;  // Nothing: no such file.
};

// Reads the file system, and waits if that hangs.  Nothing: a loop of links, a folder that may not be read, or no path
// at all.  Thread-safe.
std::optional<PathTarget> FollowPath(const std::string& path);

// Whether one of `others` has the same name.
bool IsAnyByName(const PathTarget& target, const std::vector<PathTarget>& others);
// Whether one of them has the same name or is the same device or file.
bool IsAny(const PathTarget& target, const std::vector<PathTarget>& others);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_PATH_TARGET_H_
