#include "server/path_target.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <climits>
#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

class PathTargetTest : public testing::Test {
 protected:
  bool SameName(const std::string& a, const std::string& b) const { return IsAnyByName(*FollowPath(a), Targets(b)); }
  bool Same(const std::string& a, const std::string& b) const { return IsAny(*FollowPath(a), Targets(b)); }

  const TempDir folder_;

 private:
  static std::vector<PathTarget> Targets(const std::string& path) { return {{.name = "/other"}, *FollowPath(path)}; }
};

TEST_F(PathTargetTest, LinksAndDotsLeadToTheSameName) {
  const std::string file = folder_.File("[a] b\\c");
  std::ofstream(file) << "here";
  std::filesystem::create_symlink(file, folder_.File("alias"));
  EXPECT_TRUE(SameName(file, file));
  EXPECT_TRUE(SameName(folder_.File("alias"), file));
  EXPECT_TRUE(SameName(folder_.path() + "/./alias", file));
  EXPECT_FALSE(Same(folder_.File("a bc"), file));
}

TEST_F(PathTargetTest, AHardLinkIsTheSameFileUnderAnotherName) {
  folder_.CreateFile("file", 0);
  folder_.CreateFile("other", 0);
  std::filesystem::create_hard_link(folder_.File("file"), folder_.File("hard"));
  EXPECT_FALSE(SameName(folder_.File("hard"), folder_.File("file")));
  EXPECT_TRUE(Same(folder_.File("hard"), folder_.File("file")));
  EXPECT_FALSE(Same(folder_.File("other"), folder_.File("file")));
}

TEST_F(PathTargetTest, NodesOfOneDeviceAreTheSameAndBlockIsNotCharacter) {
  const auto make = [this](const std::string& name, mode_t kind, unsigned minor) {
    return ::mknod(folder_.File(name).c_str(), kind | 0600, makedev(7, minor)) == 0;
  };
  if (!make("a", S_IFBLK, 0) || !make("b", S_IFBLK, 0) || !make("c", S_IFBLK, 1) || !make("d", S_IFCHR, 0)) {
    GTEST_SKIP() << "no mknod here";
  }
  EXPECT_TRUE(Same(folder_.File("a"), folder_.File("b")));
  EXPECT_FALSE(Same(folder_.File("a"), folder_.File("c")));
  EXPECT_FALSE(Same(folder_.File("a"), folder_.File("d")));
}

TEST_F(PathTargetTest, WhatDoesNotExistIsKnownByItsNameOnly) {
  EXPECT_FALSE(FollowPath(folder_.File("missing/file"))->id.has_value());
  EXPECT_TRUE(Same(folder_.File("missing"), folder_.File("missing")));
  EXPECT_FALSE(Same(folder_.File("missing"), folder_.File("missing-too")));
}

TEST_F(PathTargetTest, WhatLeadsNowhereIsNoTarget) {
  std::filesystem::create_symlink(folder_.File("loop"), folder_.File("loop"));
  EXPECT_FALSE(FollowPath(folder_.File("loop")).has_value());
  EXPECT_FALSE(FollowPath("/" + std::string(PATH_MAX, 'a')).has_value());
  EXPECT_FALSE(FollowPath(std::string("/dev/null\0/x", 12)).has_value());
}

}  // namespace
}  // namespace dmcached
