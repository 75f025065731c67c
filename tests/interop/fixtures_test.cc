// Images that Linux 6.1 wrote: read exactly as their fixture says, and left as the reference tools understand them.
#include "tests/support/fixtures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/device/memory_device.h"
#include "tests/support/image_walker.h"
#include "tests/support/matchers.h"
#include "tests/support/open_cache.h"
#include "tests/support/reference_tools.h"
#include "tests/support/xml_dump.h"

namespace dmcached {
namespace {

std::string TestName(const testing::TestParamInfo<std::string>& instance) {
  std::string name = instance.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

// What is stored, as fixture.json and expected.xml say it.
CacheContents StoredContents(const std::string& name) {
  const nlohmann::json json = FixtureJson(name);
  const nlohmann::json& s = json.at("superblock");
  CacheContents contents;
  contents.version = s.at("version");
  contents.clean_shutdown = s.at("clean_shutdown");
  contents.needs_check = s.at("needs_check");
  contents.data_block_size = s.at("data_block_size");
  contents.cache_blocks = s.at("cache_blocks");
  contents.discard_block_size = s.at("discard_block_size");
  contents.discards.resize(s.at("discard_nr_blocks"));
  contents.policy_name = s.at("policy_name");
  contents.policy_version = s.at("policy_version");
  contents.policy_hint_size = s.at("policy_hint_size");
  contents.stats = {s.at("read_hits"), s.at("read_misses"), s.at("write_hits"), s.at("write_misses")};
  for (const auto& item : json.at("mappings_on_disk")) {
    contents.mappings[item.at(0)] = {.oblock = item.at(1), .dirty = item.at(2)};
  }
  for (const auto& range : json.at("discarded_ranges")) {
    for (uint64_t i = range.at(0); i < range.at(1); ++i) contents.discards[i] = true;
  }
  const XmlDump xml = ParseXmlDump(FixtureText(name, "expected.xml"));
  if (s.at("hint_root") != 0) {
    contents.hints.emplace(contents.cache_blocks);
    for (const auto& [cblock, hint] : xml.hints) (*contents.hints)[cblock] = hint;
  }
  EXPECT_EQ(contents.mappings, xml.mappings) << "fixture.json and expected.xml of " << name;
  EXPECT_EQ(RangesOf(contents.discards), xml.discards) << "fixture.json and expected.xml of " << name;
  return contents;
}

// Of unclean metadata: what a reader must assume.
CacheContents Assumed(CacheContents contents) {
  for (auto& [cblock, to] : contents.mappings) to.dirty = true;
  contents.hints.reset();
  contents.discards.assign(contents.discards.size(), false);
  return contents;
}

OpenParams ReadOnly() {
  OpenParams params;
  params.read_only = true;
  return params;
}

OpenParams Writable(DirtyTracking tracking) {
  OpenParams params;
  params.dirty_tracking = tracking;
  return params;
}

class FixtureTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    image_ = FixtureImage(GetParam());
    stored_ = StoredContents(GetParam());
    effective_ = stored_.clean_shutdown ? stored_ : Assumed(stored_);
    device_ = std::make_shared<MemoryDevice>(image_);
  }

  absl::StatusOr<std::unique_ptr<CacheMetadata>> Open(const OpenParams& params) {
    return CacheMetadata::Open(device_, params, NewCounters());
  }
  static void ExpectContents(CacheMetadata& cache, const CacheContents& expected) {
    const absl::StatusOr<CacheContents> found = ReadContents(cache);
    ASSERT_THAT(found, IsOk());
    EXPECT_EQ(Difference(*found, expected), "");
    EXPECT_EQ(cache.mapped_blocks(), expected.mappings.size());
    const auto dirty = std::count_if(expected.mappings.begin(), expected.mappings.end(),
                                     [](const auto& item) { return item.second.dirty; });
    EXPECT_EQ(cache.dirty_blocks(), static_cast<uint64_t>(dirty));
    EXPECT_EQ(cache.discarded_blocks(), std::count(expected.discards.begin(), expected.discards.end(), true));
    EXPECT_EQ(cache.free_cblocks(), expected.cache_blocks - expected.mappings.size());
  }

  std::vector<std::byte> image_;
  CacheContents stored_;
  CacheContents effective_;
  std::shared_ptr<MemoryDevice> device_;
};

TEST_P(FixtureTest, TheWalkerDecodesItWithoutAnyFault) {
  const WalkedImage walked = WalkImage(image_);
  EXPECT_EQ(walked.Faults(), "");
  CacheContents found = walked.contents;
  // Values of unmapped cblocks' hints are the policy's business; the fixture does not list them.
  if (found.hints.has_value()) {
    for (uint32_t i = 0; i < found.cache_blocks; ++i) {
      if (!found.mappings.contains(i)) (*found.hints)[i] = 0;
    }
  }
  EXPECT_EQ(Difference(found, stored_), "");
}

TEST_P(FixtureTest, ReadOnlyItReadsAsItMustAndStaysAsItIs) {
  device_ = std::make_shared<MemoryDevice>(image_, "memory", nullptr, /*read_only=*/true);
  auto cache = Open(ReadOnly());
  ASSERT_THAT(cache, IsOk());
  ExpectContents(**cache, effective_);
  EXPECT_EQ((*cache)->must_assume_all_dirty(), !stored_.clean_shutdown);
  const nlohmann::json json = FixtureJson(GetParam());
  EXPECT_EQ((*cache)->dirty_blocks(), json.at("dirty_effective").get<uint32_t>());
  const nlohmann::json& s = json.at("superblock");
  const Superblock& found = (*cache)->superblock();
  EXPECT_EQ(found.mapping_root.value(), s.at("mapping_root"));
  EXPECT_EQ(found.hint_root.value(), s.at("hint_root"));
  EXPECT_EQ(found.discard_root.value(), s.at("discard_root"));
  EXPECT_EQ(found.dirty_root.value(), stored_.version == 2 ? s.at("dirty_root").get<uint64_t>() : 0);
  EXPECT_EQ(found.space_map.blocks, s.at("sm_nr_blocks"));
  EXPECT_EQ(found.space_map.allocated, s.at("sm_nr_allocated"));
  EXPECT_EQ(found.space_map.index_block.value(), s.at("sm_bitmap_root"));
  EXPECT_EQ(found.space_map.ref_count_root.value(), s.at("sm_ref_count_root"));
  EXPECT_EQ((*cache)->free_metadata_blocks(), (*cache)->metadata_blocks() - found.space_map.allocated);
  EXPECT_TRUE(device_->Image() == image_) << "the image was changed";
}

TEST_P(FixtureTest, ReadOnlyTheStoredDirtyBitsAreThereToo) {
  auto cache = Open(ReadOnly());
  ASSERT_THAT(cache, IsOk());
  std::map<uint32_t, MappedTo> stored;
  ASSERT_THAT((*cache)->LoadMappings(std::nullopt, 4,
                                     [&](const LoadedMapping& mapping) {
                                       stored[mapping.cblock.value()] = {.oblock = mapping.oblock.value(),
                                                                         .dirty = mapping.dirty_stored};
                                       return absl::OkStatus();
                                     }),
              IsOk());
  EXPECT_EQ(stored, stored_.mappings);
}

TEST_P(FixtureTest, EveryMappingIsFoundByItsOblock) {
  auto cache = Open(ReadOnly());
  ASSERT_THAT(cache, IsOk());
  std::vector<uint64_t> oblocks(FixtureJson(GetParam()).at("origin_blocks").get<size_t>());
  for (size_t i = 0; i < oblocks.size(); ++i) oblocks[i] = i;
  std::vector<LookedUp> found;
  Mutex unshared;
  ASSERT_THAT(RunWithBlocks(unshared, (*cache)->store(),
                            [&](BlockSet& set) { return (*cache)->LookupOblocks(oblocks, set, found); }),
              IsOk());
  std::map<uint64_t, uint32_t> cblocks;
  for (const auto& [cblock, to] : stored_.mappings) cblocks[to.oblock] = cblock;
  ASSERT_EQ(found.size(), oblocks.size());
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].mapped, cblocks.contains(i)) << "oblock " << i;
    if (found[i].mapped) {
      EXPECT_EQ(found[i].cblock.value(), cblocks[i]) << "oblock " << i;
    }
  }
}

TEST_P(FixtureTest, WritableItIsAdoptedIfUncleanAndReadsTheSameInBothModes) {
  for (const DirtyTracking tracking : {DirtyTracking::kExact, DirtyTracking::kConservative}) {
    SCOPED_TRACE(tracking == DirtyTracking::kExact ? "EXACT" : "CONSERVATIVE");
    device_ = std::make_shared<MemoryDevice>(image_);
    {
      auto cache = Open(Writable(tracking));
      if (stored_.needs_check) {
        EXPECT_THAT(cache, HasReasonIs(Reason::kNeedsCheck));
        EXPECT_TRUE(device_->Image() == image_) << "the image was changed";
        continue;
      }
      ASSERT_THAT(cache, IsOk());
      EXPECT_EQ((*cache)->adopted(), !stored_.clean_shutdown);
      EXPECT_FALSE((*cache)->must_assume_all_dirty());
      CacheContents expected = effective_;
      expected.clean_shutdown = tracking == DirtyTracking::kExact;
      ExpectContents(**cache, expected);
      const WalkedImage opened = WalkImage(device_->Image());
      EXPECT_EQ(opened.Faults(), "");
      EXPECT_EQ(opened.contents.clean_shutdown, expected.clean_shutdown);
      ASSERT_THAT((*cache)->Commit(/*clean=*/true), IsOk());
      expected.clean_shutdown = true;
      ExpectContents(**cache, expected);
    }
    const std::vector<std::byte> committed = device_->Image();
    const WalkedImage walked = WalkImage(committed);
    EXPECT_EQ(walked.Faults(), "");
    EXPECT_TRUE(walked.contents.clean_shutdown);
    EXPECT_EQ(walked.contents.mappings, effective_.mappings);
    EXPECT_EQ(walked.contents.discards, effective_.discards);
    const ToolResult check = RunCacheCheck(committed);
    EXPECT_EQ(check.exit_status, 0) << check.output;
    EXPECT_EQ(RunCacheDump(committed), ReferenceDumpOf(effective_));
    auto reopened = Open(ReadOnly());
    ASSERT_THAT(reopened, IsOk());
    CacheContents expected = effective_;
    expected.clean_shutdown = true;
    ExpectContents(**reopened, expected);
  }
}

TEST_P(FixtureTest, AssumedUncleanEveryMappingIsDirty) {
  if (stored_.needs_check) return;
  {
    OpenParams params;
    params.assume_unclean = true;
    auto cache = Open(params);
    ASSERT_THAT(cache, IsOk());
    EXPECT_TRUE((*cache)->adopted());
  }
  auto reopened = Open(OpenParams());
  ASSERT_THAT(reopened, IsOk());
  EXPECT_FALSE((*reopened)->adopted());
  CacheContents expected = Assumed(stored_);
  expected.clean_shutdown = true;
  ExpectContents(**reopened, expected);
  EXPECT_EQ(WalkImage(device_->Image()).Faults(), "");
}

INSTANTIATE_TEST_SUITE_P(Kernel, FixtureTest, testing::ValuesIn(FixtureNames()), TestName);

}  // namespace
}  // namespace dmcached
