#include "core/format/superblock.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "core/base/le.h"
#include "core/format/layout.h"
#include "core/format/seal.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

// Every field has a value of its own.
Superblock Example(uint32_t version) {
  Superblock superblock;
  superblock.clean_shutdown = true;
  superblock.needs_check = false;
  superblock.other_flags = 0x40;
  superblock.uuid = PackIdentity("node-7.cache_a");
  superblock.version = version;
  superblock.policy_name = "fifteen_letters";
  superblock.policy_version = {2, 3, 4};
  superblock.policy_hint_size = 4;
  superblock.space_map = {
      .blocks = 1024, .allocated = 13, .index_block = MetadataBlock(33), .ref_count_root = MetadataBlock(2)};
  superblock.mapping_root = MetadataBlock(24);
  superblock.hint_root = MetadataBlock(31);
  superblock.discard_root = MetadataBlock(30);
  superblock.dirty_root = version >= 2 ? MetadataBlock(27) : MetadataBlock();
  superblock.discard_block_size = Sectors(256);
  superblock.discard_blocks = (uint64_t{1} << 33) + 5;
  superblock.data_block_size = Sectors(192);
  superblock.cache_blocks = 0xFFFFFFFFu;
  superblock.compat_flags = 0x11;
  superblock.compat_ro_flags = 0x12;
  superblock.incompat_flags = 0x13;
  superblock.read_hits = 0xFFFFFFFFu;
  superblock.read_misses = 102;
  superblock.write_hits = 103;
  superblock.write_misses = 104;
  return superblock;
}

std::vector<std::byte> Packed(const Superblock& superblock) {
  std::vector<std::byte> block(kMetadataBlockBytes, std::byte{0xEE});
  PackSuperblock(superblock, block);
  return block;
}

// Packs the example, changes fields, and seals again: what only a damaged or foreign writer leaves.
absl::StatusOr<Superblock> UnpackChanged(const std::function<void(DiskSuperblock&)>& change) {
  std::vector<std::byte> block = Packed(Example(2));
  change(MutableDiskView<DiskSuperblock>(block));
  const uint64_t location = DiskView<DiskSuperblock>(block).blocknr.load();
  SealBlock(BlockType::kSuperblock, MetadataBlock(location), block);
  return UnpackSuperblock(block);
}

TEST(SuperblockTest, EveryFieldSurvivesPackingAndUnpacking) {
  for (const uint32_t version : {1u, 2u}) {
    const Superblock example = Example(version);
    const absl::StatusOr<Superblock> unpacked = UnpackSuperblock(Packed(example));
    ASSERT_THAT(unpacked, IsOk());
    EXPECT_TRUE(*unpacked == example) << "version " << version;
  }
}

TEST(SuperblockTest, FlagsAreIndependent) {
  for (const bool clean : {false, true}) {
    for (const bool needs_check : {false, true}) {
      Superblock superblock = Example(2);
      superblock.clean_shutdown = clean;
      superblock.needs_check = needs_check;
      const auto unpacked = UnpackSuperblock(Packed(superblock));
      ASSERT_THAT(unpacked, IsOk());
      EXPECT_TRUE(*unpacked == superblock);
    }
  }
}

TEST(SuperblockTest, RestOfTheBlockIsZero) {
  const std::vector<std::byte> block = Packed(Example(2));
  EXPECT_TRUE(std::all_of(block.begin() + 292, block.end(), [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_TRUE(std::all_of(block.begin() + 96, block.begin() + 192, [](std::byte b) { return b == std::byte{0}; }));
}

TEST(SuperblockTest, VersionOneHasNoDirtyRoot) {
  Superblock superblock = Example(1);
  superblock.dirty_root = MetadataBlock(99);
  std::vector<std::byte> block = Packed(superblock);
  EXPECT_TRUE(std::all_of(block.begin() + 284, block.end(), [](std::byte b) { return b == std::byte{0}; }));

  // What another writer left behind the end of its version-1 superblock means nothing.
  StoreLe<uint64_t>(block.data() + 284, 99);
  SealBlock(BlockType::kSuperblock, MetadataBlock(0), block);
  const auto unpacked = UnpackSuperblock(block);
  ASSERT_THAT(unpacked, IsOk());
  EXPECT_EQ(unpacked->dirty_root, MetadataBlock(0));
}

TEST(SuperblockTest, Pitfall1MagicIsOctal) {
  const std::vector<std::byte> block = Packed(Example(2));
  EXPECT_EQ(LoadLe<uint64_t>(block.data() + 32), 0x18C403u);
  EXPECT_EQ(LoadLe<uint64_t>(block.data() + 32), 1623043u);
  const auto decimal = UnpackChanged([](DiskSuperblock& disk) { disk.magic.store(6142003); });
  EXPECT_THAT(decimal, HasReasonIs(Reason::kMetadataCorrupt));
  EXPECT_THAT(decimal, CauseIs(EILSEQ));
  EXPECT_THAT(std::string(decimal.status().message()), HasSubstr("magic number 6142003"));
}

TEST(SuperblockTest, Pitfall5DataBlockSizeOutOfRangeIsDamage) {
  for (const uint32_t size : {0u, 1u, 63u, 65u, 96u, 2097152u + 64, 0xFFFFFFC0u}) {
    const auto unpacked = UnpackChanged([size](DiskSuperblock& disk) { disk.data_block_size.store(size); });
    EXPECT_THAT(unpacked, CauseIs(EUCLEAN)) << size;
  }
  for (const uint32_t size : {64u, 192u, 2097152u}) {
    EXPECT_THAT(UnpackChanged([size](DiskSuperblock& disk) { disk.data_block_size.store(size); }), IsOk()) << size;
  }
}

TEST(SuperblockTest, Pitfall6VersionIsChecked) {
  for (const uint32_t version : {0u, 3u, 0xFFFFFFFFu}) {
    const auto unpacked = UnpackChanged([version](DiskSuperblock& disk) { disk.version.store(version); });
    EXPECT_THAT(unpacked, HasReasonIs(Reason::kUnsupportedVersion)) << version;
    EXPECT_THAT(unpacked, CauseIs(EINVAL));
  }
}

TEST(SuperblockTest, LocationIsCheckedBeforeMagicBeforeChecksum) {
  EXPECT_THAT(UnpackChanged([](DiskSuperblock& disk) {
                disk.blocknr.store(7);
                disk.magic.store(1);
              }),
              CauseIs(ENOTBLK));
  std::vector<std::byte> block = Packed(Example(2));
  block[4095] = std::byte{1};
  EXPECT_THAT(UnpackSuperblock(block), CauseIs(EILSEQ));
  MutableDiskView<DiskSuperblock>(block).version.store(9);  // Not sealed: the version is not believed.
  EXPECT_THAT(UnpackSuperblock(block), HasReasonIs(Reason::kMetadataCorrupt));
}

TEST(SuperblockTest, FieldsThatNoWriterLeavesAreDamage) {
  EXPECT_THAT(UnpackChanged([](DiskSuperblock& disk) { disk.metadata_block_size.store(16); }), CauseIs(EUCLEAN));
  EXPECT_THAT(UnpackChanged([](DiskSuperblock& disk) { std::fill_n(disk.policy_name, 16, 'a'); }), CauseIs(EUCLEAN));
  for (const uint32_t size : {1u, 3u, 5u, 8u, 0x80000004u}) {
    EXPECT_THAT(UnpackChanged([size](DiskSuperblock& disk) { disk.policy_hint_size.store(size); }), CauseIs(EUCLEAN));
  }
  EXPECT_THAT(UnpackChanged([](DiskSuperblock& disk) { disk.policy_hint_size.store(0); }), IsOk());
}

TEST(SuperblockTest, BytesBehindThePolicyNamesNulMeanNothing) {
  const auto unpacked = UnpackChanged([](DiskSuperblock& disk) {
    disk.policy_name[3] = '\0';
    disk.policy_name[15] = 'x';
  });
  ASSERT_THAT(unpacked, IsOk());
  EXPECT_EQ(unpacked->policy_name, "fif");
}

TEST(SuperblockFeaturesTest, UnknownFlagsRefuseWhatTheirNameSays) {
  Superblock superblock = Example(2);
  superblock.compat_flags = 0xFFFFFFFFu;
  superblock.compat_ro_flags = 0;
  superblock.incompat_flags = 0;
  EXPECT_THAT(CheckFeatures(superblock, /*writable=*/true), IsOk());

  superblock.compat_ro_flags = 4;
  EXPECT_THAT(CheckFeatures(superblock, /*writable=*/false), IsOk());
  EXPECT_THAT(CheckFeatures(superblock, /*writable=*/true), HasReasonIs(Reason::kUnsupportedFeature));

  superblock.compat_ro_flags = 0;
  superblock.incompat_flags = 1;  // The reference tools' "variable hint size": no kernel knows it.
  EXPECT_THAT(CheckFeatures(superblock, /*writable=*/false), HasReasonIs(Reason::kUnsupportedFeature));
  EXPECT_THAT(CheckFeatures(superblock, /*writable=*/true), CauseIs(EINVAL));
}

TEST(SuperblockIdentityTest, Pitfall26bIdentityLeavesRoomForANul) {
  EXPECT_THAT(CheckIdentity("a"), IsOk());
  EXPECT_THAT(CheckIdentity("123456789012345"), IsOk());
  EXPECT_THAT(CheckIdentity("1234567890123456"), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_EQ(PackIdentity("123456789012345")[15], std::byte{0});
}

TEST(SuperblockIdentityTest, Pitfall26bCharactersThatXmlWouldNeedEscapedAreRefused) {
  for (const char* identity : {"", "a<b", "a&b", "a\"b", "a b", "a\nb", "a/b", "gr\xC3\xBC"}) {
    EXPECT_THAT(CheckIdentity(identity), HasReasonIs(Reason::kInvalidRequest)) << identity;
  }
  EXPECT_THAT(CheckIdentity("Az09._-"), IsOk());
}

TEST(SuperblockIdentityTest, ReadsBackAsText) {
  Superblock superblock;
  EXPECT_EQ(superblock.identity(), "");
  superblock.uuid = PackIdentity("node-7");
  EXPECT_EQ(superblock.identity(), "node-7");
}

TEST(SuperblockIdentityTest, RawBytesOfOtherWritersAreShownEscaped) {
  Superblock superblock;
  superblock.uuid.fill(std::byte{'x'});  // 16 characters: no NUL.
  EXPECT_EQ(superblock.identity(), "xxxxxxxxxxxxxxxx");
  superblock.uuid = PackIdentity("ab");
  superblock.uuid[1] = std::byte{0x1F};
  superblock.uuid[3] = std::byte{0xFF};
  EXPECT_EQ(superblock.identity(), "a\\x1f\\x00\\xff");
}

TEST(SuperblockUnformattedTest, OnlyZerosAreUnformatted) {
  std::vector<std::byte> block(kMetadataBlockBytes);
  EXPECT_TRUE(IsUnformatted(block));
  block[4095] = std::byte{1};
  EXPECT_FALSE(IsUnformatted(block));
  EXPECT_FALSE(IsUnformatted(Packed(Example(2))));
}

}  // namespace
}  // namespace dmcached
