// The checker on what others write: a kernel's images, those of the reference tools, and damage that they judge too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/core/maintenance/check_fixture.h"
#include "tests/support/fixtures.h"
#include "tests/support/reference_tools.h"

namespace dmcached {
namespace {

using testing::IsEmpty;

class FixtureCheckTest : public testing::TestWithParam<std::string> {};

TEST_P(FixtureCheckTest, NothingAboveANoteInAKernelsImage) {
  const nlohmann::json json = FixtureJson(GetParam());
  const Checked checked = CheckImage(FixtureImage(GetParam()));
  ASSERT_THAT(checked.status, IsOk());
  EXPECT_THAT(checked.Above(Severity::kNote), IsEmpty()) << testing::PrintToString(checked.findings);
  EXPECT_EQ(checked.summary.mapped, json.at("mappings_on_disk").size());
  EXPECT_EQ(checked.summary.needs_check, json.at("superblock").at("needs_check").get<bool>());
  EXPECT_EQ(checked.summary.clean_shutdown, json.at("superblock").at("clean_shutdown").get<bool>());
  EXPECT_EQ(checked.summary.leaked, 0u);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, FixtureCheckTest, testing::ValuesIn(FixtureNames()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

class RestoredCheckTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(RestoredCheckTest);

TEST_P(RestoredCheckTest, NothingAboveRepairableInWhatCacheRestoreWrites) {
  for (const uint32_t cache_blocks : {1u, 64u, 65u, 509u, 1018u, 5000u, 140000u}) {
    XmlDump dump;
    dump.block_size = 128;
    dump.cache_blocks = cache_blocks;
    dump.policy = "smq";
    dump.hint_width = 4;
    for (uint32_t i = 0; i < cache_blocks; i += 3) {
      dump.mappings[i] = {.oblock = uint64_t{i} * 2, .dirty = i % 2 == 0};
      dump.hints[i] = i;
    }
    const std::vector<std::byte> image = RunCacheRestore(dump, GetParam(), 4096);
    const Checked checked = CheckImage(image);
    EXPECT_THAT(checked.Above(Severity::kRepairable), IsEmpty()) << testing::PrintToString(checked.findings);
    EXPECT_EQ(checked.summary.mapped, dump.mappings.size());
    // Its known blemishes: a leaked block of version 1, dirty bits of unmapped cblocks in version 2.
    EXPECT_EQ(checked.summary.leaked, GetParam() == 1 ? 1u : 0u);
  }
}

// What happens to a sound image, and whether the reference tool looks at it at all.
struct Damage {
  const char* name;
  std::function<void(DamagedImage&)> apply;
};

std::vector<Damage> Damages() {
  const auto word = [](uint64_t cblock, uint64_t value) {
    return [=](DamagedImage& image) { image.PatchWord(ArrayKind::kMappings, cblock, value); };
  };
  const auto super = [](const std::function<void(DiskSuperblock&)>& change) {
    return [=](DamagedImage& image) { image.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0, change); };
  };
  return {
      {"nothing", [](DamagedImage&) {}},
      {"superblock checksum", [](DamagedImage& image) { image.Flip(0); }},
      {"superblock version", super([](DiskSuperblock& s) { s.version.store(3); })},
      {"superblock magic", super([](DiskSuperblock& s) { s.magic.store(6142003); })},
      {"compat_ro", super([](DiskSuperblock& s) { s.compat_ro_flags.store(1); })},
      {"metadata block size", super([](DiskSuperblock& s) { s.metadata_block_size.store(16); })},
      {"mapping block", [](DamagedImage& i) { i.Flip(i.array_block(ArrayKind::kMappings, 1)); }},
      {"mapping root", [](DamagedImage& i) { i.Flip(i.superblock().mapping_root.value()); }},
      {"unknown mapping flags", word(7, Mapping(21, kMappingFlagValid | 8))},
      {"oblock twice", word(1001, Mapping(3, kMappingFlagValid))},
      {"dirty bit of an unmapped cblock",
       [](DamagedImage& image) {
         if (image.superblock().version == 1) return image.PatchWord(ArrayKind::kMappings, 700, kMappingFlagDirty);
         image.PatchWord(ArrayKind::kDirty, 10, uint64_t{1} << 60);
       }},
      {"leak", [](DamagedImage& image) { image.PatchCount(250, kBitmapCount1); }},
  };
}

class AgreementTest : public VersionTest {};
DMCACHED_BOTH_VERSIONS(AgreementTest);

TEST_P(AgreementTest, CacheCheckCallsFatalWhatWeCallFatal) {
  for (const Damage& damage : Damages()) {
    DamagedImage image(GetParam());
    damage.apply(image);
    const bool fatal = image.Check().summary.count(Severity::kFatal) > 0;
    const ToolResult tool = RunCacheCheck(image.device().Image());
    EXPECT_EQ(fatal, tool.exit_status != 0) << damage.name << ": " << tool.output;
  }
}

// Bits that nobody looks at, so that the kernel and we open such metadata: cache_check fails, we call them repairable.
TEST_P(AgreementTest, CacheCheckFailsOnBitsThatNobodyReads) {
  const std::vector<std::function<void(DiskSuperblock&)>> changes = {
      [](DiskSuperblock& s) { s.flags.store(s.flags.load() | 8); },
      [](DiskSuperblock& s) { s.compat_flags.store(1); },
  };
  for (const auto& change : changes) {
    DamagedImage image(GetParam());
    image.PatchAs<DiskSuperblock>(BlockType::kSuperblock, 0, change);
    EXPECT_THAT(image.Check().Above(Severity::kNote), testing::ElementsAre("superblock_field repairable"));
    EXPECT_NE(RunCacheCheck(image.device().Image()).exit_status, 0);
  }
}

}  // namespace
}  // namespace dmcached
