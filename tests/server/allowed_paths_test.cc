#include "server/allowed_paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <climits>
#include <filesystem>
#include <optional>

#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

class AllowedPathsTest : public testing::Test {
 protected:
  AllowedPathsTest() {
    std::filesystem::create_directories(folder_.File("in/deep"));
    std::filesystem::create_directory(folder_.File("out"));
    folder_.CreateFile("in/file", 0);
    folder_.CreateFile("out/file", 0);
  }

  static bool PatternAllows(const std::string& pattern, const std::string& path) {
    const std::optional<PathTarget> target = FollowPath(path);
    return target.has_value() && AllowedPaths({pattern}).Allows(*target);
  }
  bool Allows(const std::string& pattern, const std::string& path) const {
    return PatternAllows(folder_.File(pattern), folder_.File(path));
  }
  void Link(const std::string& name, const std::string& target) const {
    std::filesystem::create_symlink(target, folder_.File(name));
  }

  TempDir folder_;
};

TEST_F(AllowedPathsTest, AGlobAllowsTheFilesOfItsFolderOnly) {
  EXPECT_TRUE(Allows("in/*", "in/file"));
  EXPECT_TRUE(Allows("in/*", "in/not-there-yet"));
  EXPECT_TRUE(Allows("in/f?le", "in/file"));
  EXPECT_FALSE(Allows("in/*", "in/deep/file"));
  EXPECT_FALSE(Allows("in/*", "in/.hidden"));
  EXPECT_FALSE(Allows("in/*", "out/file"));
  EXPECT_FALSE(Allows("in/*", "in"));
  EXPECT_FALSE(AllowedPaths({}).Allows(*FollowPath(folder_.File("in/file"))));
}

TEST_F(AllowedPathsTest, DotsLeadWhereTheyLead) {
  EXPECT_FALSE(Allows("in/*", "in/../out/file"));
  EXPECT_FALSE(Allows("in/*", "in/missing/../../out/file"));
  EXPECT_TRUE(Allows("in/*", "out/../in/file"));
  EXPECT_TRUE(Allows("in/*", "in/./file"));
}

TEST_F(AllowedPathsTest, ALinkIsJudgedByWhereItLeads) {
  Link("in/leads-out", folder_.File("out/file"));
  Link("in/relative", "../out/file");
  Link("in/folder", folder_.File("out"));
  Link("out/leads-in", folder_.File("in/file"));
  Link("in/loop", folder_.File("in/loop"));
  EXPECT_FALSE(Allows("in/*", "in/leads-out"));
  EXPECT_FALSE(Allows("in/*", "in/relative"));
  EXPECT_FALSE(Allows("in/*", "in/folder/file"));
  EXPECT_FALSE(Allows("in/*", "in/loop"));
  EXPECT_TRUE(Allows("in/*", "out/leads-in"));
}

TEST_F(AllowedPathsTest, ALinkThatIsAllowedByNameOpensWhatItLeadsTo) {
  Link("in/volume", folder_.File("out/file"));
  EXPECT_TRUE(Allows("in/volume", "in/volume"));
  EXPECT_TRUE(Allows("in/volume", "out/file"));
  Link("short", folder_.File("in"));
  EXPECT_TRUE(Allows("short/*", "in/file"));
  EXPECT_FALSE(Allows("short/*", "out/file"));
}

TEST_F(AllowedPathsTest, WhatALinkLeadsToIsNoGlob) {
  std::filesystem::create_directories(folder_.File("[io]"));
  Link("odd", folder_.File("[io]"));
  EXPECT_TRUE(Allows("odd/*", "[io]/file"));
  EXPECT_TRUE(Allows("odd/*", "odd/file"));
  EXPECT_TRUE(Allows("odd", "[io]"));
  EXPECT_FALSE(Allows("odd", "i"));
  EXPECT_FALSE(Allows("*", std::string(PATH_MAX, 'a')));
}

TEST_F(AllowedPathsTest, ADeviceIsAFileLikeAnyOther) {
  EXPECT_FALSE(PatternAllows(folder_.File("in/*"), "/dev/null"));
  Link("in/null", "/dev/null");
  EXPECT_FALSE(Allows("in/*", "in/null"));
  EXPECT_TRUE(PatternAllows("/dev/nul?", "/dev/null"));
  EXPECT_TRUE(PatternAllows("/dev/nul?", folder_.File("in/null")));
  if (::mknod(folder_.File("in/node").c_str(), S_IFBLK | 0600, makedev(7, 0)) != 0) GTEST_SKIP() << "no mknod here";
  // Who makes nodes is root: the folder is what was allowed.
  EXPECT_TRUE(Allows("in/*", "in/node"));
  EXPECT_FALSE(Allows("out/*", "in/node"));
}

TEST_F(AllowedPathsTest, APathWithANulIsNone) {
  EXPECT_FALSE(PatternAllows(folder_.File("in/*"), folder_.File("in/file") + std::string("\0/../../x", 9)));
}

TEST(FitsAnyTest, CacheNamesByGlob) {
  EXPECT_TRUE(FitsAny({"*"}, "vol1"));
  EXPECT_TRUE(FitsAny({"a", "vol?"}, "vol1"));
  EXPECT_FALSE(FitsAny({"vol?"}, "vol12"));
  EXPECT_FALSE(FitsAny({}, "vol1"));
}

}  // namespace
}  // namespace dmcached
