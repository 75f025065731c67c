// Metadata whose superblock says that this daemon may not, or not just so, open it.
#include <array>
#include <fstream>
#include <functional>

#include "core/format/superblock.h"
#include "tests/e2e/daemon.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

class ForeignSuperblocksTest : public DaemonTest {
 protected:
  ForeignSuperblocksTest() {
    Start();
    CreateStandard();
    EXPECT_THAT(Insert({{1, 10}}), Succeeds());
    EXPECT_THAT(Close(), Succeeds());
  }
  // Writes the superblock again, with a right checksum, after `change`.
  void Rewrite(const std::function<void(Superblock&)>& change) {
    std::array<std::byte, kMetadataBlockBytes> block;
    std::fstream file(folder_.File("metadata"), std::ios::in | std::ios::out | std::ios::binary);
    file.read(reinterpret_cast<char*>(block.data()), block.size());
    absl::StatusOr<Superblock> superblock = UnpackSuperblock(block);
    ASSERT_THAT(superblock, IsOk());
    change(*superblock);
    PackSuperblock(*superblock, block);
    file.seekp(0).write(reinterpret_cast<const char*>(block.data()), block.size());
  }
  grpc::Status Open(bool read_only) {
    v1::OpenCacheRequest request;
    request.set_name(kCache);
    request.set_metadata_path(folder_.File("metadata"));
    request.set_read_only(read_only);
    Context context;
    v1::OpenCacheResponse response;
    return caches().OpenCache(&context, request, &response);
  }
};

TEST_F(ForeignSuperblocksTest, NeedsCheckIsOpenedOnlyReadOnly) {
  Rewrite([](Superblock& superblock) { superblock.needs_check = true; });
  const std::vector<std::byte> before = FileBytes(folder_.File("metadata"));
  EXPECT_THAT(Open(/*read_only=*/false), FailsWith(Reason::kNeedsCheck));
  EXPECT_EQ(FileBytes(folder_.File("metadata")), before);
  EXPECT_THAT(Open(/*read_only=*/true), Succeeds());
  EXPECT_TRUE(Get().superblock().needs_check());
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
}

TEST_F(ForeignSuperblocksTest, AnUnknownVersionIsNotOpened) {
  Rewrite([](Superblock& superblock) { superblock.version = 3; });
  EXPECT_THAT(Open(false), FailsWith(Reason::kUnsupportedVersion));
  EXPECT_THAT(Open(true), FailsWith(Reason::kUnsupportedVersion));
}

TEST_F(ForeignSuperblocksTest, APolicyNameThatIsNoTextHidesNothingElse) {
  const std::string name = "sm\xffq\n";
  Rewrite([&](Superblock& superblock) { superblock.policy_name = name; });
  ASSERT_THAT(Open(/*read_only=*/false), Succeeds());
  EXPECT_EQ(Get().superblock().policy_name(), "sm\\xffq\\x0a");
  {
    Context context;
    v1::ListCachesResponse response;
    ASSERT_THAT(caches().ListCaches(&context, {}, &response), Succeeds());
    EXPECT_EQ(response.caches_size(), 1);
  }
  {
    v1::ProbeCacheRequest request;
    request.set_metadata_path(folder_.File("metadata"));
    Context context;
    v1::ProbeCacheResponse response;
    ASSERT_THAT(caches().ProbeCache(&context, request, &response), Succeeds());
  }
  ASSERT_THAT(Close(), Succeeds());
  Rewrite([&](Superblock& superblock) { EXPECT_EQ(superblock.policy_name, name) << "on disk it is as it was"; });
}

TEST_F(ForeignSuperblocksTest, UnknownFeaturesAreRespected) {
  Rewrite([](Superblock& superblock) { superblock.compat_ro_flags = 1; });
  EXPECT_THAT(Open(false), FailsWith(Reason::kUnsupportedFeature));
  EXPECT_THAT(Open(true), Succeeds());
  ASSERT_THAT(Close(), Succeeds());
  Rewrite([](Superblock& superblock) { superblock.incompat_flags = 1; });
  EXPECT_THAT(Open(true), FailsWith(Reason::kUnsupportedFeature));
}

TEST_F(ForeignSuperblocksTest, UncleanMetadataIsDescribedByAReadOnlyOpen) {
  Rewrite([](Superblock& superblock) { superblock.clean_shutdown = false; });
  ASSERT_THAT(Open(/*read_only=*/true), Succeeds());
  const v1::Cache cache = Get();
  EXPECT_TRUE(cache.must_assume_all_dirty());
  EXPECT_EQ(cache.dirty_blocks(), 1u);
  const v1::LookupMappingsResponse found = Lookup({1});
  EXPECT_THAT(found.dirty(), testing::ElementsAre(true));
  EXPECT_THAT(found.dirty_stored(), testing::ElementsAre(false));
}

}  // namespace
}  // namespace dmcached
