#include "core/maintenance/index_walk.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

// 252^4 array blocks exceed every device; a deeper tree is damage.
constexpr size_t kMaxLevels = 8;
constexpr uint64_t kAllKeys = std::numeric_limits<uint64_t>::max();

// Nothing, or what is wrong with a node by itself.
std::string NodeFault(const DiskIndexNode& node) {
  const uint32_t flags = node.header.flags.load();
  const uint32_t entries = node.header.nr_entries.load();
  if (flags != kBtreeInternal && flags != kBtreeLeaf) return absl::StrCat("flags ", flags);
  if (node.header.max_entries.load() != kBtreeMaxEntries || node.header.value_size.load() != sizeof(Le64)) {
    return absl::StrCat("max_entries ", node.header.max_entries.load(), ", value size ", node.header.value_size.load());
  }
  if (entries > kBtreeMaxEntries || (entries == 0 && flags == kBtreeInternal)) return absl::StrCat(entries, " entries");
  for (uint32_t i = 1; i < entries; ++i) {
    if (node.keys[i].load() <= node.keys[i - 1].load()) return "keys out of order";
  }
  return "";
}

}  // namespace

IndexWalk::IndexWalk(CheckContext& context, const ArrayShape& shape)
    : context_(context), shape_(shape), known_(std::min(shape.blocks(), context.reach.blocks())) {
  walked_.locations.resize(known_, kNoBlock);
  reported_.resize(known_);
}

void IndexWalk::Report(FindingKind kind, Severity severity, std::optional<uint64_t> block,
                       const std::optional<CblockRange>& cblocks, const std::string& message) {
  Finding finding;
  finding.kind = kind;
  finding.severity = severity;
  finding.array = shape_.kind;
  if (block.has_value()) finding.block = MetadataBlock(*block);
  if (cblocks.has_value() && cblocks->begin < cblocks->end) finding.cblocks = cblocks;
  finding.message = absl::StrCat(ArrayKindName(shape_.kind), ": ", message);
  context_.findings.Add(std::move(finding));
}

absl::StatusOr<WalkedIndex> IndexWalk::Run() {
  if (shape_.root.value() == 0) {
    MarkLost(0, kAllKeys);
    Report(FindingKind::kArrayMissing, shape_.severity(), std::nullopt, shape_.CblocksOfBlocks(0, kAllKeys),
           "the superblock does not lead to one");
    return std::move(walked_);
  }
  if (Claim(shape_.root.value(), 0, kAllKeys)) {
    next_level_.push_back({static_cast<uint32_t>(shape_.root.value()), 0, kAllKeys});
  }
  for (; !next_level_.empty(); ++level_) {
    const std::vector<Node> nodes = std::exchange(next_level_, {});
    if (level_ == kMaxLevels) {
      for (const Node& node : nodes) LoseNode(node, "the tree is too deep");
      break;
    }
    std::vector<uint32_t> locations;
    locations.reserve(nodes.size());
    for (const Node& node : nodes) locations.push_back(node.location);
    DMCACHED_RETURN_IF_ERROR(context_.reader.ReadAll(
        BlockType::kBtreeNode, locations, [&](size_t i, const absl::Status& checked, std::span<const std::byte> block) {
          if (!checked.ok()) return LoseNode(nodes[i], checked.message());
          Visit(nodes[i], block);
        }));
  }
  ReportMissing();
  return std::move(walked_);
}

void IndexWalk::Visit(const Node& node, std::span<const std::byte> block) {
  const auto& disk = DiskView<DiskIndexNode>(block);
  std::string fault = NodeFault(disk);
  const uint32_t entries = disk.header.nr_entries.load();
  if (fault.empty() && entries > 0 && (disk.keys[0].load() < node.begin || disk.keys[entries - 1].load() >= node.end)) {
    fault = absl::StrCat("keys ", disk.keys[0].load(), " to ", disk.keys[entries - 1].load(), " under a parent's ",
                         node.begin, " to ", node.end - 1);
  }
  if (!fault.empty()) return LoseNode(node, absl::StrCat("btree node ", node.location, ": ", fault));
  const bool leaf = disk.header.flags.load() == kBtreeLeaf;
  if (leaf && leaf_level_.value_or(level_) != level_) {
    Report(FindingKind::kIndexNodeDamaged, shape_.severity(), node.location,
           shape_.CblocksOfBlocks(node.begin, node.end),
           absl::StrCat("btree node ", node.location, ": a leaf at another depth than the first"));
  }
  if (leaf && !leaf_level_.has_value()) leaf_level_ = level_;
  if (level_ > 0 && entries < kBtreeMinEntries) {
    Report(FindingKind::kIndexNodeUnderfull, Severity::kRepairable, node.location, std::nullopt,
           absl::StrCat("btree node ", node.location, " has ", entries, " entries, less than a third of ",
                        kBtreeMaxEntries));
  }
  std::array<uint64_t, kBtreeMaxEntries> keys;
  std::array<uint64_t, kBtreeMaxEntries> values;
  for (uint32_t i = 0; i < entries; ++i) {
    keys[i] = disk.keys[i].load();
    values[i] = disk.values[i].load();
  }
  VisitEntries(node, std::span(keys).first(entries), std::span(values).first(entries), leaf);
}

void IndexWalk::VisitEntries(const Node& node, std::span<const uint64_t> keys, std::span<const uint64_t> values,
                             bool leaf) {
  for (size_t i = 0; i < keys.size(); ++i) {
    if (leaf) {
      AddLeafEntry(keys[i], values[i]);
      continue;
    }
    const uint64_t end = i + 1 < keys.size() ? keys[i + 1] : node.end;
    if (Claim(values[i], keys[i], end)) next_level_.push_back({static_cast<uint32_t>(values[i]), keys[i], end});
  }
}

void IndexWalk::AddLeafEntry(uint64_t key, uint64_t value) {
  if (!Claim(value, key, key + 1)) return;
  if (key >= known_) {
    ++walked_.surplus;
    found_end_ = known_;
    return;
  }
  walked_.locations[key] = static_cast<uint32_t>(value);
  found_end_ = std::max(found_end_, key + 1);
}

bool IndexWalk::Claim(uint64_t block, uint64_t begin, uint64_t end) {
  const ReachMap::Claim claim = context_.reach.Add(block, ReferrerOf(shape_.kind));
  if (claim == ReachMap::Claim::kFirst) return true;
  const std::optional<CblockRange> cblocks = shape_.CblocksOfBlocks(begin, end);
  if (claim == ReachMap::Claim::kOutOfRange) {
    Report(FindingKind::kReferenceOutOfRange, shape_.severity(), block, cblocks,
           absl::StrCat("a pointer to block ", block, " of ", context_.reach.blocks()));
  } else {
    // Fatal for any array: whoever frees the block for one of the two takes it from the other.
    Report(FindingKind::kBlockUsedTwice, Severity::kFatal, block, cblocks,
           absl::StrCat("block ", block, " is already used by the ", ReferrerName(context_.reach.referrer(block))));
  }
  MarkLost(begin, end);
  return false;
}

void IndexWalk::LoseNode(const Node& node, absl::string_view why) {
  MarkLost(node.begin, node.end);
  Report(FindingKind::kIndexNodeDamaged, shape_.severity(), node.location, shape_.CblocksOfBlocks(node.begin, node.end),
         std::string(why));
}

void IndexWalk::MarkLost(uint64_t begin, uint64_t end) {
  walked_.complete = false;
  const uint64_t last = std::min(end, known_);
  for (uint64_t i = begin; i < last; ++i) reported_[i] = true;
  if (begin < last) found_end_ = std::max(found_end_, last);
}

void IndexWalk::ReportMissing() {
  const auto report = [&](uint64_t begin, uint64_t end) {
    Report(FindingKind::kArrayBlockMissing, shape_.severity(), std::nullopt, shape_.CblocksOfBlocks(begin, end),
           absl::StrCat("the index does not lead to array blocks ", begin, " to ", end - 1));
  };
  const auto missing = [&](uint64_t i) { return walked_.locations[i] == kNoBlock && !reported_[i]; };
  // The length of a hint array is its own: what is not there at its end is not missing.
  const uint64_t end = shape_.kind == ArrayKind::kHints ? found_end_ : known_;
  for (uint64_t i = 0; i < end; ++i) {
    if (!missing(i)) continue;
    const uint64_t begin = i;
    while (i + 1 < end && missing(i + 1)) ++i;
    report(begin, i + 1);
  }
  if (shape_.kind != ArrayKind::kHints && shape_.blocks() > known_) report(known_, shape_.blocks());
}

}  // namespace dmcached
