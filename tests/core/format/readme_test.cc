// core/format/README.md says what layout.h says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "core/format/layout.h"

namespace dmcached {
namespace {

// Lines "struct.field offset size", "struct size" and "constant = value".
using Facts = std::set<std::string>;

Facts FactsOfReadme() {
  const std::regex heading(R"(^### (Disk\w+): (\d+) bytes$)");
  const std::regex field(R"(^\| (\d+) \| (\d+) \| (\w+) \|.*)");
  const std::regex constant(R"(^\| (k\w+) \| (\d+) \|.*)");
  Facts facts;
  std::ifstream readme(DMCACHED_FORMAT_README);
  std::string line;
  std::string current;
  std::smatch match;
  while (std::getline(readme, line)) {
    if (std::regex_match(line, match, heading)) {
      current = match[1];
      facts.insert(current + " " + match[2].str());
    } else if (std::regex_match(line, match, field)) {
      facts.insert(current + "." + match[3].str() + " " + match[1].str() + " " + match[2].str());
    } else if (std::regex_match(line, match, constant)) {
      facts.insert(match[1].str() + " = " + match[2].str());
    }
  }
  return facts;
}

void AddStruct(Facts& facts, const std::string& name, size_t size) { facts.insert(name + " " + std::to_string(size)); }
void AddField(Facts& facts, const std::string& name, size_t offset, size_t size) {
  facts.insert(name + " " + std::to_string(offset) + " " + std::to_string(size));
}

#define STRUCT(type) AddStruct(facts, #type, sizeof(type))
#define FIELD(type, field) AddField(facts, #type "." #field, offsetof(type, field), sizeof(type::field))
#define CONSTANT(name) facts.insert(std::string(#name " = ") + std::to_string(name))

void AddSuperblock(Facts& facts) {
  STRUCT(DiskSuperblock);
  FIELD(DiskSuperblock, csum);
  FIELD(DiskSuperblock, flags);
  FIELD(DiskSuperblock, blocknr);
  FIELD(DiskSuperblock, uuid);
  FIELD(DiskSuperblock, magic);
  FIELD(DiskSuperblock, version);
  FIELD(DiskSuperblock, policy_name);
  FIELD(DiskSuperblock, policy_hint_size);
  FIELD(DiskSuperblock, metadata_space_map_root);
  FIELD(DiskSuperblock, metadata_space_map_root_rest);
  FIELD(DiskSuperblock, mapping_root);
  FIELD(DiskSuperblock, hint_root);
  FIELD(DiskSuperblock, discard_root);
  FIELD(DiskSuperblock, discard_block_size);
  FIELD(DiskSuperblock, discard_nr_blocks);
  FIELD(DiskSuperblock, data_block_size);
  FIELD(DiskSuperblock, metadata_block_size);
  FIELD(DiskSuperblock, cache_blocks);
  FIELD(DiskSuperblock, compat_flags);
  FIELD(DiskSuperblock, compat_ro_flags);
  FIELD(DiskSuperblock, incompat_flags);
  FIELD(DiskSuperblock, read_hits);
  FIELD(DiskSuperblock, read_misses);
  FIELD(DiskSuperblock, write_hits);
  FIELD(DiskSuperblock, write_misses);
  FIELD(DiskSuperblock, policy_version);
  FIELD(DiskSuperblock, dirty_root);
}

void AddSpaceMap(Facts& facts) {
  STRUCT(DiskSpaceMapRoot);
  FIELD(DiskSpaceMapRoot, nr_blocks);
  FIELD(DiskSpaceMapRoot, nr_allocated);
  FIELD(DiskSpaceMapRoot, bitmap_root);
  FIELD(DiskSpaceMapRoot, ref_count_root);
  STRUCT(DiskIndexHeader);
  FIELD(DiskIndexHeader, csum);
  FIELD(DiskIndexHeader, padding);
  FIELD(DiskIndexHeader, blocknr);
  STRUCT(DiskIndexEntry);
  FIELD(DiskIndexEntry, blocknr);
  FIELD(DiskIndexEntry, nr_free);
  FIELD(DiskIndexEntry, none_free_before);
  STRUCT(DiskBitmapHeader);
  FIELD(DiskBitmapHeader, csum);
  FIELD(DiskBitmapHeader, unused);
  FIELD(DiskBitmapHeader, blocknr);
}

void AddNodesAndArrays(Facts& facts) {
  STRUCT(DiskBtreeNodeHeader);
  FIELD(DiskBtreeNodeHeader, csum);
  FIELD(DiskBtreeNodeHeader, flags);
  FIELD(DiskBtreeNodeHeader, blocknr);
  FIELD(DiskBtreeNodeHeader, nr_entries);
  FIELD(DiskBtreeNodeHeader, max_entries);
  FIELD(DiskBtreeNodeHeader, value_size);
  FIELD(DiskBtreeNodeHeader, padding);
  STRUCT(DiskArrayBlockHeader);
  FIELD(DiskArrayBlockHeader, csum);
  FIELD(DiskArrayBlockHeader, max_entries);
  FIELD(DiskArrayBlockHeader, nr_entries);
  FIELD(DiskArrayBlockHeader, value_size);
  FIELD(DiskArrayBlockHeader, blocknr);
}

void AddConstants(Facts& facts) {
  CONSTANT(kSuperblockSalt);
  CONSTANT(kBtreeNodeSalt);
  CONSTANT(kArrayBlockSalt);
  CONSTANT(kSpaceMapIndexSalt);
  CONSTANT(kSpaceMapBitmapSalt);
  CONSTANT(kSuperblockMagic);
  CONSTANT(kMetadataBlockSectors);
  CONSTANT(kMinDataBlockSectors);
  CONSTANT(kMaxDataBlockSectors);
  CONSTANT(kMaxOblocks);
  CONSTANT(kMaxBitmaps);
  CONSTANT(kEntriesPerBitmap);
  CONSTANT(kMaxMetadataBlocks);
  CONSTANT(kBtreeMaxEntries);
  CONSTANT(kBtreeOverflowMaxEntries);
  CONSTANT(kBtreeMinEntries);
  CONSTANT(kArrayWordsPerBlock);
  CONSTANT(kHintsPerBlock);
}

#undef STRUCT
#undef FIELD
#undef CONSTANT

TEST(FormatReadmeTest, TablesAreLayoutHeader) {
  Facts facts;
  AddSuperblock(facts);
  AddSpaceMap(facts);
  AddNodesAndArrays(facts);
  AddConstants(facts);
  EXPECT_THAT(FactsOfReadme(), testing::ContainerEq(facts));
}

}  // namespace
}  // namespace dmcached
