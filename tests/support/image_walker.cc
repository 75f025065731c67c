#include "tests/support/image_walker.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/base/crc32c.h"
#include "core/format/layout.h"

namespace dmcached {
namespace {

using Block = std::span<const std::byte>;

// A damaged image must not make the walk endless.
constexpr uint64_t kMaxDepth = 6;

class Walker {
 public:
  Walker(Block image, const Gap& gap) : image_(image), gap_(gap) {}

  WalkedImage Walk() {
    WalkSuperblock();
    if (!result_.problems.empty()) return std::move(result_);
    const DiskSuperblock& s = Superblock();
    references_.resize(s.metadata_space_map_root.nr_blocks.load());
    Refer(0, "superblock");
    for (uint64_t block = gap_.first; block < gap_.end; ++block) Refer(block, "gap");
    WalkMappings();
    WalkDirtyBits();
    WalkDiscards();
    WalkHints();
    WalkSpaceMap();
    return std::move(result_);
  }

 private:
  const DiskSuperblock& Superblock() const { return DiskView<DiskSuperblock>(image_); }
  template <typename... Parts>
  void Problem(const Parts&... parts) {
    if (result_.problems.size() < 20) result_.problems.push_back(absl::StrCat(parts...));
  }
  template <typename... Parts>
  void Blemish(const Parts&... parts) {
    if (result_.blemishes.size() < 20) result_.blemishes.push_back(absl::StrCat(parts...));
  }

  // The block, counted as used and its seal checked; empty if it cannot be read as what it should be.
  Block Take(uint64_t location, uint32_t salt, size_t location_offset, const std::string& what);
  void Refer(uint64_t location, const std::string& what);
  void WalkSuperblock();
  void WalkNode(uint64_t location, uint64_t depth, uint64_t lower_bound, const std::string& what,
                std::vector<uint64_t>& array_blocks);
  std::vector<uint64_t> WalkArray(uint64_t root, uint32_t value_size, const std::string& what);
  std::vector<bool> WalkBits(uint64_t root, uint64_t bits, const std::string& what);
  void WalkMappings();
  void WalkDirtyBits();
  void WalkDiscards();
  void WalkHints();
  void WalkSpaceMap();
  void WalkBitmap(uint64_t index, const DiskIndexEntry& entry, Block bitmap);
  void WalkOverflow(uint64_t root);

  const Block image_;
  const Gap gap_;
  std::vector<uint8_t> references_;
  std::set<uint64_t> leaf_depths_;  // Of the tree at hand.
  WalkedImage result_;
};

Block Walker::Take(uint64_t location, uint32_t salt, size_t location_offset, const std::string& what) {
  if (location == 0 || location >= references_.size() || gap_.contains(location)) {
    Problem(what, ": block ", location, " is out of range");
    return {};
  }
  const Block block = image_.subspan(gap_.Kept(location) * kMetadataBlockBytes, kMetadataBlockBytes);
  const uint32_t checksum = RawCrc32c(block.subspan(kChecksumBytes)) ^ salt;
  if (LoadLe<uint32_t>(block.data()) != checksum) {
    Problem(what, ": block ", location, " has a bad checksum");
    return {};
  }
  if (LoadLe<uint64_t>(block.data() + location_offset) != location) {
    Problem(what, ": block ", location, " says it is block ", LoadLe<uint64_t>(block.data() + location_offset));
    return {};
  }
  return block;
}

void Walker::Refer(uint64_t location, const std::string& what) {
  if (location >= references_.size()) return;  // Take said so.
  if (references_[location]++ != 0) Problem(what, ": block ", location, " is used twice");
}

void Walker::WalkSuperblock() {
  if (image_.size() < kMetadataBlockBytes) return Problem("no block 0");
  const Block block = image_.first(kMetadataBlockBytes);
  const DiskSuperblock& s = Superblock();
  if (s.csum.load() != (RawCrc32c(block.subspan(kChecksumBytes)) ^ kSuperblockSalt)) {
    return Problem("superblock: bad checksum");
  }
  if (s.blocknr.load() != 0) Problem("superblock: block number ", s.blocknr.load());
  if (s.magic.load() != 0x18C403) Problem("superblock: magic ", s.magic.load());
  if ((s.flags.load() & ~3u) != 0) Problem("superblock: flags ", s.flags.load());
  const uint32_t version = s.version.load();
  if (version != 1 && version != 2) Problem("superblock: version ", version);
  if (s.metadata_block_size.load() != 8) Problem("superblock: metadata block size ", s.metadata_block_size.load());
  if ((s.compat_flags.load() | s.compat_ro_flags.load() | s.incompat_flags.load()) != 0) {
    Problem("superblock: feature flags");
  }
  if (s.policy_name[kPolicyNameBytes - 1] != '\0') Problem("superblock: policy name without an end");
  if (s.policy_hint_size.load() != 0 && s.policy_hint_size.load() != 4) Problem("superblock: hint size");
  if ((version == 2) != (s.dirty_root.load() != 0)) Problem("superblock: dirty root ", s.dirty_root.load());
  auto not_zero = [](std::byte b) { return b != std::byte{0}; };
  const Block rest = block.subspan(sizeof(DiskSuperblock));
  if (std::any_of(rest.begin(), rest.end(), not_zero)) Problem("superblock: bytes after its end");
  const auto& map_rest = s.metadata_space_map_root_rest;
  if (std::any_of(std::begin(map_rest), std::end(map_rest), not_zero)) Problem("superblock: space map root's rest");
  const uint64_t blocks = s.metadata_space_map_root.nr_blocks.load();
  if (blocks == 0 || blocks > image_.size() / kMetadataBlockBytes + gap_.blocks() || blocks > kMaxMetadataBlocks) {
    Problem("superblock: space map of ", blocks, " blocks");
  }
  CacheContents& c = result_.contents;
  c.version = version;
  c.clean_shutdown = (s.flags.load() & 1) != 0;
  c.needs_check = (s.flags.load() & 2) != 0;
  c.data_block_size = s.data_block_size.load();
  c.cache_blocks = s.cache_blocks.load();
  c.discard_block_size = s.discard_block_size.load();
  c.policy_name = std::string(s.policy_name, strnlen(s.policy_name, kPolicyNameBytes));
  for (size_t i = 0; i < 3; ++i) c.policy_version[i] = s.policy_version[i].load();
  c.policy_hint_size = s.policy_hint_size.load();
  c.stats = {s.read_hits.load(), s.read_misses.load(), s.write_hits.load(), s.write_misses.load()};
  result_.metadata_blocks = blocks;
}

void Walker::WalkNode(uint64_t location, uint64_t depth, uint64_t lower_bound, const std::string& what,
                      std::vector<uint64_t>& array_blocks) {
  if (depth > kMaxDepth) return Problem(what, ": deeper than ", kMaxDepth, " levels");
  const Block block = Take(location, kBtreeNodeSalt, kLocationOffset, what);
  if (block.empty()) return;
  Refer(location, what);
  const auto& node = DiskView<DiskIndexNode>(block);
  const uint32_t entries = node.header.nr_entries.load();
  const uint32_t flags = node.header.flags.load();
  if (node.header.max_entries.load() != 252 || node.header.value_size.load() != 8 || entries > 252 ||
      (flags != kBtreeInternal && flags != kBtreeLeaf)) {
    return Problem(what, ": node ", location, " has a bad header");
  }
  if (depth > 0 && entries < 252 / 3) Problem(what, ": node ", location, " holds ", entries, " entries only");
  if (depth == 0 && flags == kBtreeInternal && entries < 2) Problem(what, ": root ", location, " has one child");
  if (flags == kBtreeLeaf) leaf_depths_.insert(depth);
  for (uint32_t i = 0; i < entries; ++i) {
    const uint64_t key = node.keys[i].load();
    if (i > 0 && key <= node.keys[i - 1].load()) Problem(what, ": node ", location, " has keys out of order");
    if (key < lower_bound) Problem(what, ": node ", location, " has key ", key, " below ", lower_bound);
    if (flags == kBtreeInternal) {
      WalkNode(node.values[i].load(), depth + 1, key, what, array_blocks);
      continue;
    }
    if (key != array_blocks.size()) {
      return Problem(what, ": key ", key, " in place of array block ", array_blocks.size());
    }
    array_blocks.push_back(node.values[i].load());
  }
}

std::vector<uint64_t> Walker::WalkArray(uint64_t root, uint32_t value_size, const std::string& what) {
  std::vector<uint64_t> array_blocks;
  leaf_depths_.clear();
  WalkNode(root, 0, 0, absl::StrCat(what, " index"), array_blocks);
  if (leaf_depths_.size() > 1) Problem(what, ": leaves at unequal depths");
  std::vector<uint64_t> values;
  const uint32_t most = (4096 - 24) / value_size;
  for (size_t i = 0; i < array_blocks.size(); ++i) {
    const Block block = Take(array_blocks[i], kArrayBlockSalt, kArrayBlockLocationOffset, what);
    if (block.empty()) continue;
    Refer(array_blocks[i], what);
    const auto& header = DiskView<DiskArrayBlockHeader>(block);
    const uint32_t entries = header.nr_entries.load();
    if (header.max_entries.load() != most || header.value_size.load() != value_size || entries > most || entries == 0) {
      Problem(what, ": array block ", array_blocks[i], " has a bad header");
      continue;
    }
    if (i + 1 < array_blocks.size() && entries != most) {
      Problem(what, ": array block ", i, " of ", array_blocks.size(), " has ", entries, " entries");
    }
    for (uint32_t entry = 0; entry < entries; ++entry) {
      const std::byte* value = block.data() + sizeof(DiskArrayBlockHeader) + entry * value_size;
      values.push_back(value_size == 8 ? LoadLe<uint64_t>(value) : LoadLe<uint32_t>(value));
    }
  }
  return values;
}

std::vector<bool> Walker::WalkBits(uint64_t root, uint64_t bits, const std::string& what) {
  const std::vector<uint64_t> words = WalkArray(root, 8, what);
  std::vector<bool> result(bits);
  if (words.size() != CeilDiv(bits, 64)) {
    Problem(what, ": ", words.size(), " words for ", bits, " bits");
    return result;
  }
  for (uint64_t i = 0; i < words.size() * 64; ++i) {
    const bool bit = ((words[i / 64] >> (i % 64)) & 1) != 0;
    if (i < bits) {
      result[i] = bit;
    } else if (bit) {
      Blemish(what, ": bit ", i, " past the end of ", bits, " is set");
    }
  }
  return result;
}

void Walker::WalkMappings() {
  const std::vector<uint64_t> words = WalkArray(Superblock().mapping_root.load(), 8, "mapping array");
  result_.index_levels = leaf_depths_.empty() ? 0 : *leaf_depths_.begin() + 1;
  if (words.size() != result_.contents.cache_blocks) {
    Problem("mapping array: ", words.size(), " entries, ", result_.contents.cache_blocks, " cache blocks");
  }
  const uint64_t known = result_.contents.version == 1 ? 3 : 1;
  std::set<uint64_t> oblocks;
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == 0) continue;
    const uint64_t flags = words[i] & 0xFFFF;
    const uint64_t oblock = words[i] >> 16;
    if ((flags & 1) == 0 || (flags & ~known) != 0) Problem("mapping array: cblock ", i, " has flags ", flags);
    if (!oblocks.insert(oblock).second) Problem("mapping array: oblock ", oblock, " is mapped twice");
    result_.contents.mappings[static_cast<uint32_t>(i)] = {.oblock = oblock, .dirty = (flags & 2) != 0};
  }
}

void Walker::WalkDirtyBits() {
  CacheContents& c = result_.contents;
  if (c.version == 1) return;
  const std::vector<bool> bits = WalkBits(Superblock().dirty_root.load(), c.cache_blocks, "dirty bitset");
  for (uint32_t i = 0; i < bits.size(); ++i) {
    if (!bits[i]) continue;
    const auto mapping = c.mappings.find(i);
    if (mapping == c.mappings.end()) {
      Blemish("dirty bitset: bit of the unmapped cblock ", i);
    } else {
      mapping->second.dirty = true;
    }
  }
}

void Walker::WalkDiscards() {
  const DiskSuperblock& s = Superblock();
  const uint64_t blocks = s.discard_nr_blocks.load();
  if (blocks > (uint64_t{1} << 32)) return Problem("superblock: ", blocks, " discard blocks");
  result_.contents.discards = WalkBits(s.discard_root.load(), blocks, "discard bitset");
}

void Walker::WalkHints() {
  const DiskSuperblock& s = Superblock();
  if (s.hint_root.load() == 0) return;
  const std::vector<uint64_t> values = WalkArray(s.hint_root.load(), 4, "hint array");
  if (values.size() != result_.contents.cache_blocks) {
    Blemish("hint array: ", values.size(), " entries, ", result_.contents.cache_blocks, " cache blocks");
  }
  if (values.empty()) Blemish("hint array: empty, which panics Linux 6.1");
  result_.contents.hints.emplace();
  for (const uint64_t value : values) result_.contents.hints->push_back(static_cast<uint32_t>(value));
}

void Walker::WalkOverflow(uint64_t root) {
  const Block block = Take(root, kBtreeNodeSalt, kLocationOffset, "overflow tree");
  if (block.empty()) return;
  Refer(root, "overflow tree");
  const auto& header = DiskView<DiskBtreeNodeHeader>(block);
  if (header.flags.load() != kBtreeLeaf || header.nr_entries.load() != 0 || header.max_entries.load() != 336 ||
      header.value_size.load() != 4) {
    Problem("overflow tree: not an empty leaf of u32");
  }
}

void Walker::WalkSpaceMap() {
  const DiskSpaceMapRoot& root = Superblock().metadata_space_map_root;
  WalkOverflow(root.ref_count_root.load());
  const Block block = Take(root.bitmap_root.load(), kSpaceMapIndexSalt, kLocationOffset, "space map index");
  if (block.empty()) return;
  Refer(root.bitmap_root.load(), "space map index");
  const auto& index = DiskView<DiskIndexBlock>(block);
  std::vector<Block> bitmaps;
  for (uint64_t i = 0; i < CeilDiv(references_.size(), 16320); ++i) {
    const uint64_t location = index.entries[i].blocknr.load();
    bitmaps.push_back(Take(location, kSpaceMapBitmapSalt, kLocationOffset, "bitmap"));
    if (bitmaps.back().empty()) return;
    Refer(location, "bitmap");
  }
  // Every reference is known now.
  for (uint64_t i = 0; i < bitmaps.size(); ++i) WalkBitmap(i, index.entries[i], bitmaps[i]);
  if (root.nr_allocated.load() != result_.used_blocks) {
    Problem("space map: nr_allocated ", root.nr_allocated.load(), ", in use ", result_.used_blocks);
  }
}

void Walker::WalkBitmap(uint64_t index, const DiskIndexEntry& entry, Block bitmap) {
  const auto& words = DiskView<DiskBitmapBlock>(bitmap).words;
  uint64_t used = 0;
  uint64_t existing = 0;
  uint64_t first_free = 16320;
  for (uint64_t i = 0; i < 16320; ++i) {
    if (i % 32 == 0 && index * 16320 + i >= references_.size() && words[i / 32].load() == 0) {
      i += 31;  // Most of a small device's bitmap.
      continue;
    }
    const uint64_t field = words[i / 32].load() >> (2 * (i % 32)) & 3;
    const uint64_t count = (field & 1) * 2 + (field >> 1);
    const uint64_t block = index * 16320 + i;
    if (count != 0) ++used;
    if (block >= references_.size()) {
      if (count != 0) Problem("bitmap ", index, ": counts block ", block, ", past the end");
      continue;
    }
    ++existing;
    if (count == 0) first_free = std::min(first_free, i);
    if (count == references_[block]) continue;
    if (count == 1 && references_[block] == 0) {
      Blemish("space map: block ", block, " has leaked");
    } else {
      Problem("space map: block ", block, " has the count ", count, ", references ", references_[block]);
    }
  }
  const uint64_t nr_free = entry.nr_free.load();
  if (nr_free != 16320 - used && nr_free != existing - used) Problem("bitmap ", index, ": nr_free ", nr_free);
  if (entry.none_free_before.load() > first_free) {
    Problem("bitmap ", index, ": none_free_before ", entry.none_free_before.load(), ", free is ", first_free);
  }
  result_.used_blocks += used;
}

}  // namespace

std::string WalkedImage::Faults() const {
  return absl::StrCat(absl::StrJoin(problems, "; "), problems.empty() || blemishes.empty() ? "" : "; ",
                      absl::StrJoin(blemishes, "; "));
}

WalkedImage WalkImage(std::span<const std::byte> image, const Gap& gap) { return Walker(image, gap).Walk(); }

}  // namespace dmcached
