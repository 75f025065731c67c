// What a check finds: values, made by the stages of the checker, for people and programs.
//
// Severities: fatal, a mapping, a dirty bit or the superblock may be wrong or unreadable, or a used block may be
// handed out again; repairable, nothing of that, but something to mend; a note, what other writers leave and no
// reader minds.
#ifndef DMCACHED_CORE_MAINTENANCE_FINDING_H_
#define DMCACHED_CORE_MAINTENANCE_FINDING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/cache/mutation.h"
#include "core/store/array_kind.h"

namespace dmcached {

enum class Severity { kNote = 0, kRepairable = 1, kFatal = 2 };
inline constexpr size_t kSeverities = 3;

// "note", "repairable", "fatal".
const char* SeverityName(Severity severity);

enum class FindingKind {
  kSuperblockDamaged,     // Checksum, location or magic: nothing can be walked.
  kSuperblockVersion,     // Neither 1 nor 2: nothing can be walked.
  kSuperblockField,       // A value that no writer leaves.
  kNeedsCheckSet,         // The needs_check flag.
  kSpaceMapRoot,          // Size or location of the space map.
  kSpaceMapIndexDamaged,  // The block of bitmap locations.
  kBitmapDamaged,         // A bitmap block.
  kOverflowTree,          // Counts of 3 and more: damaged, or not empty.
  kUsedBlockFree,         // Reached, but free in the map.
  kReferenceCount,        // A count above 1.
  kLeakedBlock,           // Used in the map, not reached.
  kAllocatedCount,        // nr_allocated of the space-map root.
  kFreeCount,             // nr_free of a bitmap.
  kFirstFree,             // none_free_before of a bitmap: hides free blocks.
  kFreeCountStyle,        // nr_free of the last bitmap counts existing blocks only.
  kUnusedIndexEntries,    // Beyond the last bitmap, not zero.
  kBitsPastEnd,           // Of a bitmap or bitset.
  kReferenceOutOfRange,   // A pointer beyond the space map.
  kBlockUsedTwice,        // Two pointers to one block.
  kIndexNodeDamaged,      // A node of an index tree.
  kIndexNodeUnderfull,    // Below a third, and not the root.
  kArrayMissing,          // Root 0 where there must be an array.
  kArrayBlockMissing,     // The index does not lead to it.
  kArrayBlockDamaged,     // Checksum, location or header.
  kArrayBlockShort,       // Fewer entries than the array has there.
  kArraySurplus,          // Blocks or entries beyond the array's end.
  kMappingFlags,          // Unknown flags, or a word that is neither a mapping nor zero.
  kOblockTwice,           // An oblock that several cblocks map.
  kOblockBeyondOrigin,    // At or past the end of the discard geometry of clean metadata.
  kDirtyUnmapped,         // A dirty bit of an unmapped cblock.
  kHintArrayEmpty,        // There is an array, of no entries: some kernels die of it.
  kHintArrayLength,       // Not one entry per cache block.
  kHintSize,              // An array of hints of size 0.
  kDiscardGeometry,       // Sizes that do not fit together.
};
inline constexpr size_t kFindingKinds = static_cast<size_t>(FindingKind::kDiscardGeometry) + 1;

// Stable, for programs: "superblock_damaged", "leaked_block", ...
const char* FindingKindName(FindingKind kind);

struct Finding {
  FindingKind kind = FindingKind::kSuperblockDamaged;
  Severity severity = Severity::kFatal;
  std::optional<ArrayKind> array;      // Whose.
  std::optional<MetadataBlock> block;  // Where; the first, if there are several.
  std::optional<CblockRange> cblocks;  // What is affected.
  uint64_t mappings = 0;               // Mappings among `cblocks`, as far as they can be read; else all of them.
  uint64_t dirty = 0;                  // Those of them that are dirty or may be.
  uint64_t count = 1;                  // Places.  Without cblocks: `count` neighbouring blocks from `block` on.
  std::string message;                 // One sentence.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_FINDING_H_
