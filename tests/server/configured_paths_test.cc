#include "server/configured_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

class ConfiguredPathsTest : public testing::Test {
 protected:
  ConfiguredPathsTest() {
    folder_.CreateFile("volume", 0);
    folder_.CreateFile("other", 0);
  }
  void Link(const std::string& target) const { std::filesystem::create_symlink(folder_.File(target), link_); }
  void Unlink() const { std::filesystem::remove(link_); }
  PathTarget Target(const std::string& name) const { return *FollowPath(folder_.File(name)); }
  static CacheConfig Cache(const std::string& metadata) {
    CacheConfig cache;
    cache.name = "vol1";
    cache.metadata = metadata;
    return cache;
  }

  const TempDir folder_;
  const std::string link_ = folder_.File("link");
};

TEST_F(ConfiguredPathsTest, EveryPathOfACacheIsNamed) {
  CacheConfig cache = Cache(folder_.File("volume"));
  cache.origin = folder_.File("other");
  const std::vector<ConfiguredPath> paths = ConfiguredPaths({cache}).Follow();
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[0].cache, "vol1");
  EXPECT_EQ(paths[0].target.name, Target("volume").name);
  EXPECT_EQ(paths[1].target.id, Target("other").id);
}

TEST_F(ConfiguredPathsTest, APathThatLeadsNowhereForTheMomentIsStillWhatItWas) {
  Link("volume");
  const ConfiguredPaths paths({Cache(link_)});
  Unlink();
  EXPECT_EQ(paths.Follow()[0].target.name, link_);
  EXPECT_EQ(paths.Follow()[0].target.id, Target("volume").id);
  // Also where it cannot be followed at all.
  std::filesystem::create_symlink(link_, link_);
  EXPECT_EQ(paths.Follow()[0].target.name, link_);
  EXPECT_EQ(paths.Follow()[0].target.id, Target("volume").id);
  Unlink();
  Link("other");
  EXPECT_EQ(paths.Follow()[0].target.id, Target("other").id);
  Unlink();
  EXPECT_EQ(paths.Follow()[0].target.id, Target("other").id);
}

TEST_F(ConfiguredPathsTest, APathThatWasNeverThereIsOnlyAName) {
  const ConfiguredPaths paths({Cache(link_)});
  EXPECT_EQ(paths.Follow()[0].target.name, link_);
  EXPECT_FALSE(paths.Follow()[0].target.id.has_value());
}

}  // namespace
}  // namespace dmcached
