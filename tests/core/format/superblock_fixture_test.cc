// Superblocks that Linux 6.1 wrote: each field as the fixture's independent decoder saw it.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/format/layout.h"
#include "core/format/superblock.h"
#include "tests/support/fixtures.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

class SuperblockFixtureTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { image_ = FixtureImage(GetParam()); }
  std::span<const std::byte> Block() const { return std::span(image_).first(kMetadataBlockBytes); }

  std::vector<std::byte> image_;
};

// In the names and order of fixture.json; csum, magic and blocknr are what UnpackSuperblock checked.
nlohmann::json ToJson(const Superblock& s) {
  nlohmann::json json = {
      {"clean_shutdown", s.clean_shutdown},
      {"needs_check", s.needs_check},
      {"flags", (s.clean_shutdown ? 1u : 0u) | (s.needs_check ? 2u : 0u) | s.other_flags},
      {"version", s.version},
      {"policy_name", s.policy_name},
      {"policy_hint_size", s.policy_hint_size},
      {"sm_nr_blocks", s.space_map.blocks},
      {"sm_nr_allocated", s.space_map.allocated},
      {"sm_bitmap_root", s.space_map.index_block.value()},
      {"sm_ref_count_root", s.space_map.ref_count_root.value()},
      {"mapping_root", s.mapping_root.value()},
      {"hint_root", s.hint_root.value()},
      {"discard_root", s.discard_root.value()},
      {"discard_block_size", s.discard_block_size.value()},
      {"discard_nr_blocks", s.discard_blocks},
      {"data_block_size", s.data_block_size.value()},
      {"metadata_block_size", s.metadata_block_size_sectors},
      {"cache_blocks", s.cache_blocks},
      {"compat_flags", s.compat_flags},
      {"compat_ro_flags", s.compat_ro_flags},
      {"incompat_flags", s.incompat_flags},
      {"read_hits", s.read_hits},
      {"read_misses", s.read_misses},
      {"write_hits", s.write_hits},
      {"write_misses", s.write_misses},
      {"policy_version", s.policy_version},
  };
  if (s.version >= 2) json["dirty_root"] = s.dirty_root.value();
  return json;
}

TEST_P(SuperblockFixtureTest, EveryFieldIsAsTheFixtureSays) {
  const nlohmann::json expected = FixtureJson(GetParam()).at("superblock");
  const absl::StatusOr<Superblock> superblock = UnpackSuperblock(Block());
  ASSERT_THAT(superblock, IsOk());
  const nlohmann::json found = ToJson(*superblock);
  for (const auto& [field, value] : expected.items()) {
    if (field == "csum" || field == "csum_ok" || field == "magic" || field == "blocknr") continue;
    if (field == "dirty_root" && superblock->version == 1) continue;
    ASSERT_TRUE(found.contains(field)) << field;
    EXPECT_EQ(found.at(field), value) << field;
  }
  EXPECT_EQ(superblock->identity(), "");
  EXPECT_THAT(CheckFeatures(*superblock, /*writable=*/true), IsOk());
  EXPECT_FALSE(IsUnformatted(Block()));
}

TEST_P(SuperblockFixtureTest, PackedAgainItIsTheKernelsBlockByteForByte) {
  const absl::StatusOr<Superblock> superblock = UnpackSuperblock(Block());
  ASSERT_THAT(superblock, IsOk());
  std::vector<std::byte> packed(kMetadataBlockBytes);
  PackSuperblock(*superblock, packed);
  const auto [ours, kernels] = std::mismatch(packed.begin(), packed.end(), Block().begin());
  EXPECT_EQ(ours, packed.end()) << "byte " << ours - packed.begin();
}

TEST_P(SuperblockFixtureTest, AnyDamagedByteOfItsSectorIsFound) {
  std::vector<std::byte> block(Block().begin(), Block().end());
  for (size_t i = 0; i < 512; ++i) {
    block[i] ^= std::byte{1};
    EXPECT_THAT(UnpackSuperblock(block), StatusIs(absl::StatusCode::kDataLoss)) << "byte " << i;
    block[i] ^= std::byte{1};
  }
}

INSTANTIATE_TEST_SUITE_P(Kernel, SuperblockFixtureTest, testing::ValuesIn(FixtureNames()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(FixtureNamesTest, AllElevenImagesAreThere) { EXPECT_EQ(FixtureNames().size(), 11u); }

}  // namespace
}  // namespace dmcached
