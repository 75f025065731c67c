#include "core/store/index_tree.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"

namespace dmcached {
namespace {

// 252^4 array blocks exceed every device; a deeper tree is damage.
constexpr size_t kMaxLevels = 8;

struct RawNode {
  MetadataBlock location;
  bool leaf = false;
  std::vector<uint64_t> keys;
  std::vector<uint64_t> values;
};

absl::Status Damaged(MetadataBlock block, absl::string_view what) {
  return MakeError(Reason::kMetadataCorrupt, absl::StrCat("btree node ", block.value(), ": ", what));
}

absl::StatusOr<RawNode> UnpackNode(MetadataBlock location, std::span<const std::byte> block) {
  DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kBtreeNode, location, block));
  const auto& node = DiskView<DiskIndexNode>(block);
  const uint32_t flags = node.header.flags.load();
  const uint32_t entries = node.header.nr_entries.load();
  if (flags != kBtreeInternal && flags != kBtreeLeaf) return Damaged(location, absl::StrCat("flags ", flags));
  if (node.header.max_entries.load() != kBtreeMaxEntries || node.header.value_size.load() != sizeof(Le64)) {
    return Damaged(location, absl::StrCat("max_entries ", node.header.max_entries.load(), ", value size ",
                                          node.header.value_size.load()));
  }
  if (entries > kBtreeMaxEntries || (entries == 0 && flags == kBtreeInternal)) {
    return Damaged(location, absl::StrCat(entries, " entries"));
  }
  RawNode raw{.location = location, .leaf = flags == kBtreeLeaf, .keys = {}, .values = {}};
  for (uint32_t i = 0; i < entries; ++i) {
    raw.keys.push_back(node.keys[i].load());
    raw.values.push_back(node.values[i].load());
    if (i > 0 && raw.keys[i] <= raw.keys[i - 1]) return Damaged(location, "keys out of order");
  }
  return raw;
}

absl::Status ReadLevel(BlockDevice& device, const std::vector<MetadataBlock>& locations,
                       const std::function<absl::Status(MetadataBlock)>& claim, std::vector<RawNode>& nodes) {
  constexpr size_t kRunBlocks = 64;
  nodes.clear();
  AlignedBuffer buffer(std::min(kRunBlocks, locations.size()) * kMetadataBlockBytes);
  absl::Status refused;
  while (nodes.size() < locations.size() && refused.ok()) {
    // A commit writes a level's nodes next to each other: one request for as many as are, and are claimed.
    const auto rest = std::span(locations).subspan(nodes.size());
    size_t run = 0;
    while (run < std::min(kRunBlocks, rest.size()) && rest[run].value() == rest[0].value() + run) {
      refused = claim(rest[run]);
      if (!refused.ok()) break;
      ++run;
    }
    if (run == 0) break;
    DMCACHED_RETURN_IF_ERROR(device.Read(BlockOffsetBytes(rest[0]), buffer.span().first(run * kMetadataBlockBytes)));
    for (size_t i = 0; i < run; ++i) {
      const auto block = buffer.span().subspan(i * kMetadataBlockBytes, kMetadataBlockBytes);
      DMCACHED_ASSIGN_OR_RETURN(RawNode node, UnpackNode(rest[i], block));
      if (!nodes.empty() && node.leaf != nodes.front().leaf) return Damaged(rest[i], "leaves at unequal depth");
      nodes.push_back(std::move(node));
    }
  }
  return refused;
}

}  // namespace

IndexTree::Level IndexTree::BuildLevel(uint64_t children, const Level* below) {
  const uint64_t nodes = std::max<uint64_t>(1, CeilDiv(children, kBtreeMaxEntries));
  Level level(nodes);
  uint64_t first = 0;
  for (uint64_t i = 0; i < nodes; ++i) {
    level[i].first_child = first;
    level[i].children = children / nodes + (i < children % nodes ? 1 : 0);
    level[i].first_key = below == nullptr ? first : (*below)[first].first_key;
    first += level[i].children;
  }
  return level;
}

IndexTree IndexTree::Build(uint64_t blocks) {
  IndexTree tree;
  tree.levels_.push_back(BuildLevel(blocks, nullptr));
  while (tree.levels_.back().size() > 1) {
    tree.levels_.push_back(BuildLevel(tree.levels_.back().size(), &tree.levels_.back()));
  }
  return tree;
}

uint64_t IndexTree::NodeCountFor(uint64_t blocks) {
  uint64_t total = 0;
  uint64_t nodes = blocks;
  do {
    nodes = std::max<uint64_t>(1, CeilDiv(nodes, kBtreeMaxEntries));
    total += nodes;
  } while (nodes > 1);
  return total;
}

absl::StatusOr<IndexTree> IndexTree::Load(BlockDevice& device, MetadataBlock root,
                                          const std::function<absl::Status(MetadataBlock)>& claim,
                                          std::vector<uint32_t>& locations) {
  std::vector<Level> top_down;
  std::vector<std::vector<uint64_t>> keys;  // Of each level, its nodes' keys one after the other.
  std::vector<MetadataBlock> level_locations = {root};
  for (bool leaves = false; !leaves;) {
    if (top_down.size() == kMaxLevels) return Damaged(root, "the tree is too deep");
    std::vector<RawNode> nodes;
    DMCACHED_RETURN_IF_ERROR(ReadLevel(device, level_locations, claim, nodes));
    leaves = nodes.front().leaf;
    level_locations.clear();
    Level level;
    std::vector<uint64_t>& level_keys = keys.emplace_back();
    for (const RawNode& node : nodes) {
      level_keys.insert(level_keys.end(), node.keys.begin(), node.keys.end());
      const uint64_t first = leaves ? locations.size() : level_locations.size();
      level.push_back({.location = node.location,
                       .first_child = first,
                       .children = node.values.size(),
                       .first_key = first,
                       .changed = false});
      for (size_t i = 0; i < node.values.size(); ++i) {
        if (node.values[i] == 0 || node.values[i] >= kMaxMetadataBlocks) {
          return Damaged(node.location, absl::StrCat("refers to block ", node.values[i]));
        }
        if (!leaves) {
          level_locations.emplace_back(node.values[i]);
        } else if (node.keys[i] != locations.size()) {
          return Damaged(node.location,
                         absl::StrCat("array block ", locations.size(), " is missing, found key ", node.keys[i]));
        } else {
          locations.push_back(static_cast<uint32_t>(node.values[i]));
        }
      }
    }
    top_down.push_back(std::move(level));
  }
  IndexTree tree;
  tree.levels_.assign(std::make_move_iterator(top_down.rbegin()), std::make_move_iterator(top_down.rend()));
  for (size_t level = 1; level < tree.levels_.size(); ++level) {
    DMCACHED_RETURN_IF_ERROR(
        CheckKeys(tree.levels_[level], tree.levels_[level - 1], keys[tree.levels_.size() - 1 - level]));
  }
  return tree;
}

absl::Status IndexTree::CheckKeys(Level& level, const Level& below, const std::vector<uint64_t>& keys) {
  for (Node& node : level) {
    node.first_key = below[node.first_child].first_key;
    for (uint64_t i = 0; i < node.children; ++i) {
      const uint64_t key = keys[node.first_child + i];
      const uint64_t first = below[node.first_child + i].first_key;
      // A lower bound may be too low only where there is no child before it.
      if (key == first || (i == 0 && key < first)) continue;
      return Damaged(node.location, absl::StrCat("key ", key, " over a child that begins with ", first));
    }
  }
  return absl::OkStatus();
}

void IndexTree::MarkChanged(uint64_t index) {
  for (Level& level : levels_) {
    auto node = std::upper_bound(level.begin(), level.end(), index,
                                 [](uint64_t child, const Node& n) { return child < n.first_child; });
    DMCACHED_CHECK(node != level.begin());
    --node;
    if (node->changed) return;  // Then its ancestors are, too.
    node->changed = true;
    index = static_cast<uint64_t>(node - level.begin());
  }
}

uint64_t IndexTree::node_count() const {
  uint64_t count = 0;
  for (const Level& level : levels_) count += level.size();
  return count;
}

absl::Status IndexTree::Prepare(const std::vector<Slot>& slots, SpaceMap& space_map,
                                std::vector<AlignedBuffer>& buffers, std::vector<PendingWrite>& writes) {
  for (size_t level = 0; level < levels_.size(); ++level) {
    for (Node& node : levels_[level]) {
      if (!node.changed) continue;
      if (node.location.value() != 0) space_map.Release(node.location);
      DMCACHED_ASSIGN_OR_RETURN(node.location, space_map.Allocate());
      node.changed = false;
      AlignedBuffer& block = buffers.emplace_back(kMetadataBlockBytes);
      Pack(level, node, slots, block.span());
      writes.push_back({node.location, BlockType::kBtreeNode, block.data()});
    }
  }
  return absl::OkStatus();
}

void IndexTree::Pack(size_t level, const Node& node, const std::vector<Slot>& slots, std::span<std::byte> block) const {
  auto& disk = MutableDiskView<DiskIndexNode>(block);
  disk.header.flags.store(level == 0 ? kBtreeLeaf : kBtreeInternal);
  disk.header.nr_entries.store(static_cast<uint32_t>(node.children));
  disk.header.max_entries.store(kBtreeMaxEntries);
  disk.header.value_size.store(sizeof(Le64));
  for (uint64_t i = 0; i < node.children; ++i) {
    const uint64_t child = node.first_child + i;
    disk.keys[i].store(level == 0 ? child : levels_[level - 1][child].first_key);
    disk.values[i].store(level == 0 ? slots[child].location : levels_[level - 1][child].location.value());
  }
}

void IndexTree::ReleaseAll(SpaceMap& space_map) {
  for (Level& level : levels_) {
    for (Node& node : level) {
      if (node.location.value() != 0) space_map.Release(node.location);
      node.location = MetadataBlock(0);
    }
  }
}

}  // namespace dmcached
