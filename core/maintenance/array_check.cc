#include "core/maintenance/array_check.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr uint64_t kUnknownEnd = std::numeric_limits<uint64_t>::max();

CblockRange OneCblock(uint64_t cblock) {
  return {Cblock(static_cast<uint32_t>(cblock)), Cblock(static_cast<uint32_t>(cblock + 1))};
}

}  // namespace

void ArrayCheck::Report(FindingKind kind, Severity severity, ArrayKind array, std::optional<MetadataBlock> block,
                        const std::optional<CblockRange>& cblocks, const std::string& message, uint64_t count) {
  Finding finding;
  finding.kind = kind;
  finding.severity = severity;
  finding.array = array;
  finding.block = block;
  if (cblocks.has_value() && cblocks->begin < cblocks->end) finding.cblocks = cblocks;
  finding.message = absl::StrCat(ArrayKindName(array), ": ", message);
  finding.count = count;
  context_.findings.Add(std::move(finding));
}

std::optional<uint64_t> ArrayCheck::EntriesOf(const ArrayShape& shape, uint64_t array_block, MetadataBlock location,
                                              std::span<const std::byte> block) {
  const absl::Status header = CheckArrayHeader(location, PackedArray::ValueSize(shape.kind), 0, block);
  if (!header.ok()) {
    Report(FindingKind::kArrayBlockDamaged, shape.severity(), shape.kind, location,
           shape.CblocksOfBlocks(array_block, array_block + 1), std::string(header.message()));
    return std::nullopt;
  }
  return DiskView<DiskArrayBlockHeader>(block).nr_entries.load();
}

std::optional<ArrayCheck::Part> ArrayCheck::WholePart(const ArrayShape& shape, uint64_t array_block,
                                                      MetadataBlock location, std::span<const std::byte> block) {
  const uint64_t needed = shape.EntriesIn(array_block);
  if (!CheckArrayHeader(location, PackedArray::ValueSize(shape.kind), 0, block).ok() ||
      DiskView<DiskArrayBlockHeader>(block).nr_entries.load() != needed) {
    return std::nullopt;
  }
  return Part{location, array_block * shape.per_block(), needed, block};
}

absl::StatusOr<ArrayCheck::Extent> ArrayCheck::Walk(const ArrayShape& shape, const WalkedIndex& index, const Take& take,
                                                    const Visit& visit) {
  std::vector<uint32_t> locations;
  std::vector<uint32_t> array_blocks;
  for (uint64_t i = 0; i < index.locations.size(); ++i) {
    if (index.locations[i] == kNoBlock) continue;
    locations.push_back(index.locations[i]);
    array_blocks.push_back(static_cast<uint32_t>(i));
  }
  Extent extent;
  if (locations.empty()) return extent;
  // Unless the last block says otherwise itself.
  extent.end = array_blocks.back() * shape.per_block() + shape.EntriesIn(array_blocks.back());
  const auto take_block = [&](size_t lane, size_t i, std::span<const std::byte> block) {
    const std::optional<Part> part = WholePart(shape, array_blocks[i], MetadataBlock(locations[i]), block);
    return part.has_value() && take(lane, *part);
  };
  const auto visit_block = [&](size_t i, const absl::Status& checked, std::span<const std::byte> block) {
    const uint64_t array_block = array_blocks[i];
    const MetadataBlock location(locations[i]);
    const uint64_t first = array_block * shape.per_block();
    const uint64_t needed = shape.EntriesIn(array_block);
    if (!checked.ok()) {
      return Report(FindingKind::kArrayBlockDamaged, shape.severity(), shape.kind, location,
                    shape.CblocksOfBlocks(array_block, array_block + 1), std::string(checked.message()));
    }
    const std::optional<uint64_t> entries = EntriesOf(shape, array_block, location, block);
    if (!entries.has_value()) return;
    const bool last = i + 1 == locations.size();
    if (last) extent.end = first + *entries;
    extent.surplus_entries += *entries - std::min(*entries, needed);
    if (*entries < needed && !(shape.kind == ArrayKind::kHints && last)) {
      Report(FindingKind::kArrayBlockShort, shape.severity(), shape.kind, location,
             shape.CblocksOf(first + *entries, first + needed),
             absl::StrCat("array block ", location.value(), " has ", *entries, " of ", needed, " entries"));
    }
    visit({location, first, std::min(*entries, needed), block});
  };
  DMCACHED_RETURN_IF_ERROR(context_.reader.ReadAll(BlockType::kArrayBlock, locations, visit_block, take_block));
  return extent;
}

void ArrayCheck::ReportSurplus(const ArrayShape& shape, const WalkedIndex& index, const Extent& extent) {
  if (index.surplus == 0 && extent.surplus_entries == 0) return;
  Report(FindingKind::kArraySurplus, Severity::kRepairable, shape.kind, std::nullopt, std::nullopt,
         absl::StrCat(index.surplus, " array blocks and ", extent.surplus_entries, " entries beyond its ",
                      shape.entries, " entries"));
}

uint64_t ArrayCheck::OblockEnd() const {
  const Superblock& superblock = context_.superblock;
  const uint64_t block_size = superblock.data_block_size.value();
  if (!superblock.clean_shutdown || superblock.discard_blocks == 0 || block_size == 0) return kUnknownEnd;
  const uint64_t ratio = superblock.discard_block_size.value() / block_size;
  if (ratio == 0 || superblock.discard_blocks > kUnknownEnd / ratio) return kUnknownEnd;
  return superblock.discard_blocks * ratio;
}

// --- Mappings ---

absl::Status ArrayCheck::Mappings(const ArrayShape& shape, const WalkedIndex& index) {
  const uint64_t present =
      static_cast<uint64_t>(index.locations.size() -
                            static_cast<size_t>(std::count(index.locations.begin(), index.locations.end(), kNoBlock)));
  DuplicateOrigins origins(OblockEnd(), present * shape.per_block(), TolerantReader::kLanes);
  std::vector<MappingWords> words(TolerantReader::kLanes);
  DMCACHED_ASSIGN_OR_RETURN(
      const Extent extent,
      Walk(
          shape, index, [&](size_t lane, const Part& part) { return TakeMappings(lane, part, words[lane], origins); },
          [&](const Part& part) { VisitMappings(shape, part, origins); }));
  ReportSurplus(shape, index, extent);
  DMCACHED_RETURN_IF_ERROR(
      origins.Finish(context_.reader.executor(), [&] { return context_.reader.source().Interrupted(); }));
  return origins.any() ? ReportDuplicates(shape, index, origins) : absl::OkStatus();
}

uint64_t ArrayCheck::KnownMappingFlags() const {
  return context_.superblock.version == 1 ? kMappingFlagValid | kMappingFlagDirty : kMappingFlagValid;
}

bool ArrayCheck::TakeMappings(size_t lane, const Part& part, MappingWords& words, DuplicateOrigins& origins) {
  if (!words.Read(part.block, part.count, {KnownMappingFlags(), OblockEnd()})) return false;
  states_.SetMappingKnown(part.first, part.first + part.count);
  states_.MergeMapped(part.first, part.count, words.mapped());
  if (context_.superblock.version == 1) {
    states_.SetDirtyKnown(part.first, part.first + part.count);
    states_.MergeDirty(part.first, part.count, words.dirty());
  }
  origins.Add(lane, words.oblocks());
  return true;
}

void ArrayCheck::VisitMappings(const ArrayShape& shape, const Part& part, DuplicateOrigins& origins) {
  const bool version_1 = context_.superblock.version == 1;
  const uint64_t known_flags = KnownMappingFlags();
  const uint64_t oblock_end = OblockEnd();
  states_.SetMappingKnown(part.first, part.first + part.count);
  if (version_1) states_.SetDirtyKnown(part.first, part.first + part.count);
  for (uint64_t i = 0; i < part.count; ++i) {
    const uint64_t word = part.Word(i);
    if (word == 0) continue;
    const uint64_t cblock = part.first + i;
    const Oblock oblock(word >> kMappingFlagBits);
    const uint64_t flags = word & kMappingFlagMask;
    if (version_1 && word == kMappingFlagDirty) {
      Report(FindingKind::kDirtyUnmapped, Severity::kRepairable, shape.kind, part.location, OneCblock(cblock),
             absl::StrCat("cblock ", cblock, " is dirty and not mapped"));
      continue;
    }
    if ((flags & ~known_flags) != 0 || (flags & kMappingFlagValid) == 0) {
      Report(FindingKind::kMappingFlags, Severity::kFatal, shape.kind, part.location, OneCblock(cblock),
             absl::StrCat("cblock ", cblock, " has the flags ", flags, " and oblock ", oblock.value()));
    }
    if ((flags & kMappingFlagValid) == 0) continue;
    states_.SetMapped(cblock);
    if (version_1 && (flags & kMappingFlagDirty) != 0) states_.SetDirty(cblock);
    if (oblock.value() >= oblock_end) {
      Report(FindingKind::kOblockBeyondOrigin, Severity::kRepairable, shape.kind, part.location, OneCblock(cblock),
             absl::StrCat("cblock ", cblock, " maps oblock ", oblock.value(), ", the discards end at ", oblock_end));
    }
    origins.Add(/*lane=*/0, std::span(&oblock, 1));
  }
}

absl::Status ArrayCheck::ReportDuplicates(const ArrayShape& shape, const WalkedIndex& index,
                                          const DuplicateOrigins& origins) {
  std::vector<uint32_t> locations;
  std::vector<uint64_t> firsts;
  for (uint64_t i = 0; i < index.locations.size(); ++i) {
    if (index.locations[i] == kNoBlock) continue;
    locations.push_back(index.locations[i]);
    firsts.push_back(i * shape.per_block());
  }
  const auto each_twice = [&](size_t i, std::span<const std::byte> block, auto report) {
    const MetadataBlock location(locations[i]);
    // What is wrong with the block itself has been said.
    if (!CheckArrayHeader(location, PackedArray::ValueSize(shape.kind), 0, block).ok()) return;
    const Part part{location, firsts[i], 0, block};
    const uint64_t count = std::min<uint64_t>(DiskView<DiskArrayBlockHeader>(block).nr_entries.load(),
                                              shape.EntriesIn(firsts[i] / shape.per_block()));
    for (uint64_t entry = 0; entry < count; ++entry) {
      const uint64_t word = part.Word(entry);
      const Oblock oblock(word >> kMappingFlagBits);
      if ((word & kMappingFlagValid) != 0 && origins.Contains(oblock)) report(location, part.first + entry, oblock);
    }
  };
  return context_.reader.ReadAll(
      BlockType::kArrayBlock, locations,
      [&](size_t i, const absl::Status& checked, std::span<const std::byte> block) {
        if (!checked.ok()) return;
        each_twice(i, block, [&](MetadataBlock location, uint64_t cblock, Oblock oblock) {
          Report(FindingKind::kOblockTwice, Severity::kFatal, shape.kind, location, OneCblock(cblock),
                 absl::StrCat("cblock ", cblock, " maps oblock ", oblock.value(), ", which is mapped elsewhere too"));
        });
      },
      [&](size_t, size_t i, std::span<const std::byte> block) {
        bool any = false;
        each_twice(i, block, [&](MetadataBlock, uint64_t, Oblock) { any = true; });
        return !any;
      });
}

// --- Dirty bits of version 2 ---

absl::Status ArrayCheck::DirtyBits(const ArrayShape& shape, const WalkedIndex& index) {
  DMCACHED_ASSIGN_OR_RETURN(const Extent extent,
                            Walk(
                                shape, index, [&](size_t, const Part& part) { return TakeDirtyWords(shape, part); },
                                [&](const Part& part) { VisitDirtyWords(shape, part); }));
  ReportSurplus(shape, index, extent);
  ReportDirtyUnmapped(index);
  return absl::OkStatus();
}

bool ArrayCheck::HasBitsPastEnd(const Part& part, uint64_t bits) {
  for (uint64_t i = part.count; i > 0; --i) {
    const uint64_t end_bit = bits - std::min(bits, (part.first + i - 1) * kBitsPerWord);
    if (end_bit >= kBitsPerWord) return false;
    if (part.Word(i - 1) >> end_bit != 0) return true;
  }
  return false;
}

bool ArrayCheck::TakeDirtyWords(const ArrayShape& shape, const Part& part) {
  if (HasBitsPastEnd(part, shape.cache_blocks)) return false;
  VisitDirtyWords(shape, part);
  return true;
}

void ArrayCheck::VisitDirtyWords(const ArrayShape& shape, const Part& part) {
  states_.SetDirtyKnown(part.first * kBitsPerWord, (part.first + part.count) * kBitsPerWord);
  for (uint64_t i = 0; i < part.count; ++i) {
    const uint64_t word = part.Word(i);
    states_.SetDirtyWord(part.first + i, word);
    const uint64_t end_bit =
        shape.cache_blocks - std::min<uint64_t>(shape.cache_blocks, (part.first + i) * kBitsPerWord);
    if (end_bit < kBitsPerWord && word >> end_bit != 0) {
      ReportBitsPastEnd(shape, part.location, part.first + i, shape.cache_blocks);
    }
  }
}

void ArrayCheck::ReportBitsPastEnd(const ArrayShape& shape, MetadataBlock location, uint64_t word, uint64_t bits) {
  Report(FindingKind::kBitsPastEnd, Severity::kNote, shape.kind, location, std::nullopt,
         absl::StrCat("word ", word, " has bits set past the end, ", bits));
}

void ArrayCheck::ReportDirtyUnmapped(const WalkedIndex& index) {
  constexpr uint64_t kBitsPerBlock = uint64_t{kArrayWordsPerBlock} * kBitsPerWord;
  for (uint64_t from = 0; from < states_.cblocks();) {
    const CblockRange found = states_.NextDirtyUnmapped(from);
    if (found.begin == found.end) return;
    from = found.end.value();
    Report(FindingKind::kDirtyUnmapped, Severity::kRepairable, ArrayKind::kDirty,
           MetadataBlock(index.locations[found.begin.value() / kBitsPerBlock]), found,
           absl::StrCat("cblock ", found.begin.value(), " is dirty and not mapped"),
           found.end.value() - found.begin.value());
  }
}

// --- Discards and hints ---

absl::Status ArrayCheck::Discards(const ArrayShape& shape, const WalkedIndex& index) {
  const uint64_t bits = context_.superblock.discard_blocks;
  const auto visit = [&](const Part& part) {
    for (uint64_t i = 0; i < part.count; ++i) {
      const uint64_t end_bit = bits - std::min(bits, (part.first + i) * kBitsPerWord);
      if (end_bit < kBitsPerWord && part.Word(i) >> end_bit != 0) {
        ReportBitsPastEnd(shape, part.location, part.first + i, bits);
      }
    }
  };
  DMCACHED_ASSIGN_OR_RETURN(
      const Extent extent,
      Walk(
          shape, index, [&](size_t, const Part& part) { return !HasBitsPastEnd(part, bits); }, visit));
  ReportSurplus(shape, index, extent);
  return absl::OkStatus();
}

absl::Status ArrayCheck::Hints(const ArrayShape& shape, const WalkedIndex& index) {
  DMCACHED_ASSIGN_OR_RETURN(const Extent extent,
                            Walk(
                                shape, index, [](size_t, const Part&) { return true; }, [](const Part&) {}));
  if (extent.end == 0 && index.complete) {
    if (shape.entries > 0) {
      Report(FindingKind::kHintArrayEmpty, Severity::kRepairable, shape.kind, shape.root, std::nullopt,
             "it has no entries; some kernels panic when they load one");
    }
    return absl::OkStatus();
  }
  if (context_.superblock.policy_hint_size == 0) {
    Report(FindingKind::kHintSize, Severity::kNote, shape.kind, std::nullopt, std::nullopt,
           "the superblock says that hints have 0 bytes: nobody reads them");
  }
  const bool longer = index.surplus > 0 || extent.surplus_entries > 0;
  if (longer || (index.complete && extent.end < shape.entries)) {
    Report(FindingKind::kHintArrayLength, Severity::kNote, shape.kind, std::nullopt, std::nullopt,
           absl::StrCat("it is ", longer ? "longer" : "shorter", " than the ", shape.entries, " cache blocks"));
  }
  return absl::OkStatus();
}

}  // namespace dmcached
