#include "server/socket_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr mode_t kFolderMode = 0750;
constexpr mode_t kLockMode = 0640;

absl::Status IoError(const std::string& what, int cause) {
  return MakeError(Reason::kIoError, absl::StrCat(what, ": ", std::strerror(cause)), cause);
}

absl::Status RemoveStaleSocket(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? absl::OkStatus() : IoError("cannot look at " + path, errno);
  }
  if (!S_ISSOCK(found.st_mode)) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat(path, " exists and is not a socket; it is left alone"));
  }
  if (unlink(path.c_str()) != 0) return IoError("cannot remove the stale socket " + path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketLock>> SocketLock::Acquire(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/'));
  // If this fails for another reason than that it exists, so does the open, which says why.
  if (!folder.empty()) mkdir(folder.c_str(), kFolderMode);
  const std::string lock_path = path + ".lock";
  const int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kLockMode);
  if (fd < 0) return IoError("cannot create the lock file " + lock_path, errno);
  std::unique_ptr<SocketLock> lock(new SocketLock(fd));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return IoError("cannot lock " + lock_path, errno);
    return MakeError(Reason::kDeviceInUse,
                     absl::StrCat("another dmcached already serves on unix:", path, " (it holds ", lock_path, ")"));
  }
  DMCACHED_RETURN_IF_ERROR(RemoveStaleSocket(path));
  return lock;
}

SocketLock::~SocketLock() { close(fd_); }

}  // namespace dmcached
