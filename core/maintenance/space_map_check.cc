#include "core/maintenance/space_map_check.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr uint64_t kLowBits = 0x5555555555555555;

}  // namespace

SpaceMapCheck::SpaceMapCheck(CheckContext& context)
    : context_(context), blocks_(context.reach.blocks()), named_(blocks_) {}

void SpaceMapCheck::Report(FindingKind kind, Severity severity, std::optional<uint64_t> block,
                           const std::string& message) {
  Finding finding;
  finding.kind = kind;
  finding.severity = severity;
  if (block.has_value()) finding.block = MetadataBlock(*block);
  finding.message = absl::StrCat("space map: ", message);
  context_.findings.Add(std::move(finding));
}

bool SpaceMapCheck::Claim(uint64_t block, Referrer referrer, const char* what) {
  switch (context_.reach.Add(block, referrer)) {
    case ReachMap::Claim::kFirst:
      return true;
    case ReachMap::Claim::kOutOfRange:
      Report(FindingKind::kReferenceOutOfRange, Severity::kFatal, block,
             absl::StrCat("the ", what, " is at block ", block, " of ", blocks_));
      return false;
    case ReachMap::Claim::kAgain:
      Report(FindingKind::kBlockUsedTwice, Severity::kFatal, block,
             absl::StrCat("the ", what, " is at block ", block, ", already used by the ",
                          ReferrerName(context_.reach.referrer(block))));
      return false;
  }
  return false;
}

absl::Status SpaceMapCheck::Load() {
  const SpaceMapRoot& root = context_.superblock.space_map;
  if (Claim(root.index_block.value(), Referrer::kSpaceMap, "index block")) {
    const auto location = static_cast<uint32_t>(root.index_block.value());
    DMCACHED_RETURN_IF_ERROR(context_.reader.ReadAll(
        BlockType::kSpaceMapIndex, std::span(&location, 1),
        [&](size_t, const absl::Status& checked, std::span<const std::byte> block) {
          if (checked.ok()) return VisitIndexBlock(block);
          Report(FindingKind::kSpaceMapIndexDamaged, Severity::kFatal, location, std::string(checked.message()));
        }));
  }
  DMCACHED_RETURN_IF_ERROR(LoadBitmaps());
  return LoadOverflowTree();
}

void SpaceMapCheck::VisitIndexBlock(std::span<const std::byte> block) {
  const auto& disk = DiskView<DiskIndexBlock>(block);
  const uint64_t bitmaps = CeilDiv(blocks_, kEntriesPerBitmap);
  bool unused_zero = true;
  for (uint64_t i = 0; i < kMaxBitmaps; ++i) {
    const Entry entry = {.location = disk.entries[i].blocknr.load(),
                         .nr_free = disk.entries[i].nr_free.load(),
                         .none_free_before = disk.entries[i].none_free_before.load()};
    if (i < bitmaps) {
      entries_.push_back(entry);
    } else if ((entry.location | entry.nr_free | entry.none_free_before) != 0) {
      unused_zero = false;
    }
  }
  if (unused_zero) return;
  Report(FindingKind::kUnusedIndexEntries, Severity::kNote, context_.superblock.space_map.index_block.value(),
         absl::StrCat("the index block has entries beyond its ", bitmaps, " bitmaps"));
}

absl::Status SpaceMapCheck::LoadBitmaps() {
  words_.resize(entries_.size() * kBitmapWords);
  std::vector<uint32_t> locations;
  std::vector<size_t> bitmaps;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (!Claim(entries_[i].location, Referrer::kSpaceMap, "bitmap")) continue;
    locations.push_back(static_cast<uint32_t>(entries_[i].location));
    bitmaps.push_back(i);
  }
  return context_.reader.ReadAll(BlockType::kSpaceMapBitmap, locations,
                                 [&](size_t i, const absl::Status& checked, std::span<const std::byte> block) {
                                   if (checked.ok()) return VisitBitmap(bitmaps[i], block);
                                   Report(FindingKind::kBitmapDamaged, Severity::kFatal, locations[i],
                                          std::string(checked.message()));
                                 });
}

void SpaceMapCheck::VisitBitmap(size_t bitmap, std::span<const std::byte> block) {
  const auto& disk = DiskView<DiskBitmapBlock>(block);
  entries_[bitmap].readable = true;
  bool past_end = false;
  for (uint64_t i = 0; i < kBitmapWords; ++i) {
    uint64_t word = disk.words[i].load();
    const uint64_t first = bitmap * kEntriesPerBitmap + i * kEntriesPerBitmapWord;
    const uint64_t valid = std::min(kEntriesPerBitmapWord, blocks_ - std::min(blocks_, first));
    if (valid < kEntriesPerBitmapWord) {
      const uint64_t mask = (uint64_t{1} << (2 * valid)) - 1;
      past_end = past_end || (word & ~mask) != 0;
      word &= mask;
    }
    words_[bitmap * kBitmapWords + i] = word;
    used_ += static_cast<uint64_t>(std::popcount((word | word >> 1) & kLowBits));
  }
  if (!past_end) return;
  Report(FindingKind::kBitsPastEnd, Severity::kNote, entries_[bitmap].location,
         absl::StrCat("the bitmap has counts past the last of ", blocks_, " blocks"));
}

absl::Status SpaceMapCheck::LoadOverflowTree() {
  const uint64_t root = context_.superblock.space_map.ref_count_root.value();
  if (!Claim(root, Referrer::kOverflowTree, "overflow tree")) return absl::OkStatus();
  const auto location = static_cast<uint32_t>(root);
  return context_.reader.ReadAll(
      BlockType::kBtreeNode, std::span(&location, 1),
      [&](size_t, const absl::Status& checked, std::span<const std::byte> block) {
        const auto& header = DiskView<DiskBtreeNodeHeader>(block);
        if (checked.ok() && header.flags.load() == kBtreeLeaf && header.nr_entries.load() == 0) return;
        Report(FindingKind::kOverflowTree, Severity::kFatal, root,
               checked.ok() ? absl::StrCat("the overflow tree at block ", root, " is not an empty leaf")
                            : std::string(checked.message()));
      });
}

std::optional<uint64_t> SpaceMapCheck::FieldOf(uint64_t block) const {
  const uint64_t bitmap = block / kEntriesPerBitmap;
  if (bitmap >= entries_.size() || !entries_[bitmap].readable) return std::nullopt;
  const uint64_t entry = block % kEntriesPerBitmap;
  const uint64_t word = words_[bitmap * kBitmapWords + entry / kEntriesPerBitmapWord];
  return word >> (2 * (entry % kEntriesPerBitmapWord)) & 3;
}

void SpaceMapCheck::Compare(std::span<const WalkedArray> arrays) {
  CompareArrays(arrays);
  CompareBlocks(std::all_of(arrays.begin(), arrays.end(), [](const WalkedArray& a) { return a.index.complete; }));
  CheckCounters();
}

void SpaceMapCheck::CompareArrays(std::span<const WalkedArray> arrays) {
  for (const WalkedArray& array : arrays) {
    for (uint64_t i = 0; i < array.index.locations.size(); ++i) {
      const uint64_t location = array.index.locations[i];
      if (location == kNoBlock || FieldOf(location).value_or(kBitmapCount1) != kBitmapCount0) continue;
      named_[location] = true;
      Finding finding;
      finding.kind = FindingKind::kUsedBlockFree;
      finding.severity = Severity::kFatal;
      finding.array = array.shape.kind;
      finding.block = MetadataBlock(location);
      finding.cblocks = array.shape.CblocksOfBlocks(i, i + 1);
      finding.message = absl::StrCat("space map: block ", location, " of the ", ArrayKindName(array.shape.kind),
                                     " is free in the map and would be overwritten");
      context_.findings.Add(std::move(finding));
    }
  }
}

void SpaceMapCheck::CompareBlocks(bool complete) {
  for (uint64_t block = 0; block < blocks_; ++block) {
    const std::optional<uint64_t> field = FieldOf(block);
    if (!field.has_value()) continue;  // Its bitmap was reported.
    const Referrer referrer = context_.reach.referrer(block);
    if (*field != kBitmapCount0 && *field != kBitmapCount1) {
      Report(FindingKind::kReferenceCount, Severity::kFatal, block,
             absl::StrCat("block ", block, " has a reference count above 1"));
    } else if (referrer == Referrer::kNone && *field == kBitmapCount1) {
      ++leaked_;
      Report(FindingKind::kLeakedBlock, Severity::kRepairable, block,
             absl::StrCat("block ", block, " is used in the map, but nothing that could be read leads to it",
                          complete ? "" : "; a part of an index is damaged"));
    } else if (referrer != Referrer::kNone && *field == kBitmapCount0 && !named_[block]) {
      Report(FindingKind::kUsedBlockFree, Severity::kFatal, block,
             absl::StrCat("block ", block, " of the ", ReferrerName(referrer),
                          " is free in the map and would be overwritten"));
    }
  }
}

void SpaceMapCheck::CheckCounters() {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].readable) CheckFree(i);
  }
  const bool all =
      !entries_.empty() && std::all_of(entries_.begin(), entries_.end(), [](const Entry& e) { return e.readable; });
  const uint64_t allocated = context_.superblock.space_map.allocated;
  if (!all || allocated == used_) return;
  Report(FindingKind::kAllocatedCount, Severity::kRepairable, std::nullopt,
         absl::StrCat("the superblock says that ", allocated, " blocks are used; it is ", used_));
}

void SpaceMapCheck::CheckFree(size_t bitmap) {
  const Entry& entry = entries_[bitmap];
  const uint64_t first = bitmap * kEntriesPerBitmap;
  const uint64_t existing = std::min(kEntriesPerBitmap, blocks_ - first);
  uint64_t free = 0;
  uint64_t first_free = kEntriesPerBitmap;
  for (uint64_t i = 0; i < existing; ++i) {
    if (FieldOf(first + i) != kBitmapCount0) continue;
    if (free++ == 0) first_free = i;
  }
  // The kernel also counts the blocks behind the last one as free; other writers do not.
  const uint64_t free_as_kernel = free + kEntriesPerBitmap - existing;
  if (entry.nr_free != free_as_kernel && entry.nr_free != free) {
    Report(FindingKind::kFreeCount, Severity::kRepairable, entry.location,
           absl::StrCat("bitmap ", bitmap, " says that ", entry.nr_free, " of its blocks are free; it is ", free));
  } else if (entry.nr_free != free_as_kernel) {
    Report(FindingKind::kFreeCountStyle, Severity::kNote, entry.location,
           "the last bitmap's count of free blocks leaves out those that do not exist");
  }
  if (entry.none_free_before > first_free) {
    Report(FindingKind::kFirstFree, Severity::kRepairable, entry.location,
           absl::StrCat("bitmap ", bitmap, " says that nothing before block ", first + entry.none_free_before,
                        " is free; block ", first + first_free, " is"));
  }
}

}  // namespace dmcached
