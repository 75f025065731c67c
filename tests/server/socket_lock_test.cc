#include "server/socket_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

// A socket that nobody listens on any more.
void LeaveStaleSocket(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
}

TEST(SocketLockTest, ASecondDaemonIsRefusedUntilTheFirstIsGone) {
  TempDir folder;
  auto first = SocketLock::Acquire(folder.File("s"));
  ASSERT_THAT(first, IsOk());
  const auto second = SocketLock::Acquire(folder.File("s"));
  EXPECT_THAT(second, HasReasonIs(Reason::kDeviceInUse));
  EXPECT_THAT(std::string(second.status().message()), testing::HasSubstr("another dmcached already serves"));
  first->reset();
  EXPECT_THAT(SocketLock::Acquire(folder.File("s")), IsOk());
}

TEST(SocketLockTest, AStaleSocketIsRemovedOnlyUnderTheLock) {
  TempDir folder;
  auto first = SocketLock::Acquire(folder.File("s"));
  ASSERT_THAT(first, IsOk());
  LeaveStaleSocket(folder.File("s"));
  EXPECT_THAT(SocketLock::Acquire(folder.File("s")), HasReasonIs(Reason::kDeviceInUse));
  EXPECT_TRUE(std::filesystem::exists(folder.File("s")));
  first->reset();
  EXPECT_THAT(SocketLock::Acquire(folder.File("s")), IsOk());
  EXPECT_FALSE(std::filesystem::exists(folder.File("s")));
}

TEST(SocketLockTest, SomethingElseThanASocketIsLeftAlone) {
  TempDir folder;
  std::ofstream(folder.File("s")) << "precious";
  EXPECT_THAT(SocketLock::Acquire(folder.File("s")), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_TRUE(std::filesystem::exists(folder.File("s")));
}

TEST(SocketLockTest, TheLastFolderIsCreatedAndAMissingOneIsNamed) {
  TempDir folder;
  EXPECT_THAT(SocketLock::Acquire(folder.File("new/s")), IsOk());
  const auto deep = SocketLock::Acquire(folder.File("a/b/s"));
  EXPECT_THAT(deep, HasReasonIs(Reason::kIoError));
  EXPECT_THAT(std::string(deep.status().message()), testing::HasSubstr(folder.File("a/b/s.lock")));
}

}  // namespace
}  // namespace dmcached
