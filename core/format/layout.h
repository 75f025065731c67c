// Every on-disk structure, constant and flag of dm-cache metadata.  No logic.
//
// All fields are little-endian byte arrays, so the structures have no padding and no alignment.
// Source: core/format/README.md, whose byte tables a test compares with this file.
#ifndef DMCACHED_CORE_FORMAT_LAYOUT_H_
#define DMCACHED_CORE_FORMAT_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/base/ids.h"
#include "core/base/le.h"

namespace dmcached {

// What the raw CRC-32C of bytes 4..4095 is XORed with, by type of block: a block read as the wrong type fails.
inline constexpr uint32_t kSuperblockSalt = 9031977;
inline constexpr uint32_t kBtreeNodeSalt = 121107;
inline constexpr uint32_t kArrayBlockSalt = 595846735;
inline constexpr uint32_t kSpaceMapIndexSalt = 160478;
inline constexpr uint32_t kSpaceMapBitmapSalt = 240779;

inline constexpr size_t kChecksumBytes = 4;              // At the start of every block, and not covered by itself.
inline constexpr size_t kLocationOffset = 8;             // Of a block's own number (u64) ...
inline constexpr size_t kArrayBlockLocationOffset = 16;  // ... except in array blocks.

// --- Superblock: block 0 ---

inline constexpr uint64_t kSuperblockLocation = 0;
inline constexpr uint64_t kSuperblockMagic = 06142003;  // Octal; decimal 6142003 is a well-known mistake.
inline constexpr uint32_t kMinMetadataVersion = 1;
inline constexpr uint32_t kMaxMetadataVersion = 2;
inline constexpr uint32_t kFlagCleanShutdown = 1u << 0;
inline constexpr uint32_t kFlagNeedsCheck = 1u << 1;
inline constexpr uint32_t kKnownCompatFlags = 0;
inline constexpr uint32_t kKnownCompatRoFlags = 0;
inline constexpr uint32_t kKnownIncompatFlags = 0;
inline constexpr uint32_t kMetadataBlockSectors = kMetadataBlockBytes / kSectorBytes;
inline constexpr size_t kUuidBytes = 16;
inline constexpr size_t kPolicyNameBytes = 16;  // With the NUL.
inline constexpr uint32_t kHintBytes = 4;       // A policy's hint size is this or 0.

inline constexpr uint64_t kMinDataBlockSectors = 64;       // 32 KiB, also the granularity.
inline constexpr uint64_t kMaxDataBlockSectors = 2097152;  // 1 GiB.
inline constexpr uint64_t kMaxOblocks = uint64_t{1} << 48;

struct DiskSpaceMapRoot {
  Le64 nr_blocks;
  Le64 nr_allocated;
  Le64 bitmap_root;  // The index block.
  Le64 ref_count_root;
};
static_assert(sizeof(DiskSpaceMapRoot) == 32 && alignof(DiskSpaceMapRoot) == 1);

struct DiskSuperblock {
  Le32 csum;
  Le32 flags;
  Le64 blocknr;
  std::byte uuid[kUuidBytes];
  Le64 magic;
  Le32 version;
  char policy_name[kPolicyNameBytes];
  Le32 policy_hint_size;
  DiskSpaceMapRoot metadata_space_map_root;
  std::byte metadata_space_map_root_rest[96];
  Le64 mapping_root;
  Le64 hint_root;
  Le64 discard_root;
  Le64 discard_block_size;  // Sectors.
  Le64 discard_nr_blocks;
  Le32 data_block_size;      // Sectors.
  Le32 metadata_block_size;  // Sectors.
  Le32 cache_blocks;
  Le32 compat_flags;
  Le32 compat_ro_flags;
  Le32 incompat_flags;
  Le32 read_hits;
  Le32 read_misses;
  Le32 write_hits;
  Le32 write_misses;
  Le32 policy_version[3];
  Le64 dirty_root;  // Version 2 only.
};
static_assert(sizeof(DiskSuperblock) == 292 && alignof(DiskSuperblock) == 1);
static_assert(std::is_trivially_copyable_v<DiskSuperblock>);
static_assert(sizeof(DiskSuperblock) <= 512,
              "within one sector, so a torn 4 KiB write cannot split the only superblock");
static_assert(offsetof(DiskSuperblock, blocknr) == kLocationOffset);
static_assert(offsetof(DiskSuperblock, magic) == 32);
static_assert(offsetof(DiskSuperblock, policy_name) == 44);
static_assert(offsetof(DiskSuperblock, metadata_space_map_root) == 64);
static_assert(offsetof(DiskSuperblock, mapping_root) == 192);
static_assert(offsetof(DiskSuperblock, discard_block_size) == 216);
static_assert(offsetof(DiskSuperblock, cache_blocks) == 240);
static_assert(offsetof(DiskSuperblock, read_hits) == 256);
static_assert(offsetof(DiskSuperblock, policy_version) == 272);
static_assert(offsetof(DiskSuperblock, dirty_root) == 284);

// --- Space map ---

struct DiskIndexEntry {  // One per bitmap block.
  Le64 blocknr;
  Le32 nr_free;           // The kernel counts 16320 for the last bitmap too; read only as "0: nothing free".
  Le32 none_free_before;  // A lower bound of the first free entry.
};
static_assert(sizeof(DiskIndexEntry) == 16 && alignof(DiskIndexEntry) == 1);

struct DiskIndexHeader {
  Le32 csum;
  Le32 padding;
  Le64 blocknr;
};
static_assert(sizeof(DiskIndexHeader) == 16 && alignof(DiskIndexHeader) == 1);
static_assert(offsetof(DiskIndexHeader, blocknr) == kLocationOffset);

inline constexpr uint64_t kMaxBitmaps = (kMetadataBlockBytes - sizeof(DiskIndexHeader)) / sizeof(DiskIndexEntry);
static_assert(kMaxBitmaps == 255);

struct DiskIndexBlock {
  DiskIndexHeader header;
  DiskIndexEntry entries[kMaxBitmaps];
};
static_assert(sizeof(DiskIndexBlock) == kMetadataBlockBytes && alignof(DiskIndexBlock) == 1);

struct DiskBitmapHeader {
  Le32 csum;
  Le32 unused;
  Le64 blocknr;
};
static_assert(sizeof(DiskBitmapHeader) == 16 && alignof(DiskBitmapHeader) == 1);
static_assert(offsetof(DiskBitmapHeader, blocknr) == kLocationOffset);

inline constexpr uint64_t kBitmapWords = (kMetadataBlockBytes - sizeof(DiskBitmapHeader)) / sizeof(Le64);
inline constexpr uint64_t kEntriesPerBitmapWord = 32;  // Two bits each.
inline constexpr uint64_t kEntriesPerBitmap = kBitmapWords * kEntriesPerBitmapWord;
static_assert(kEntriesPerBitmap == 16320);
inline constexpr uint64_t kMaxMetadataBlocks = kMaxBitmaps * kEntriesPerBitmap;

// Two-bit fields of a bitmap word.  The lower bit is the high-order digit of the count.
inline constexpr uint64_t kBitmapCount0 = 0b00;
inline constexpr uint64_t kBitmapCount1 = 0b10;
inline constexpr uint64_t kBitmapCount2 = 0b01;
inline constexpr uint64_t kBitmapCountMany = 0b11;  // 3 or more: the overflow tree says.

struct DiskBitmapBlock {
  DiskBitmapHeader header;
  Le64 words[kBitmapWords];
};
static_assert(sizeof(DiskBitmapBlock) == kMetadataBlockBytes && alignof(DiskBitmapBlock) == 1);

// --- Btrees ---

inline constexpr uint32_t kBtreeInternal = 1u << 0;
inline constexpr uint32_t kBtreeLeaf = 1u << 1;

struct DiskBtreeNodeHeader {
  Le32 csum;
  Le32 flags;
  Le64 blocknr;
  Le32 nr_entries;
  Le32 max_entries;
  Le32 value_size;  // 8 in internal nodes.
  Le32 padding;
};
static_assert(sizeof(DiskBtreeNodeHeader) == 32 && alignof(DiskBtreeNodeHeader) == 1);
static_assert(offsetof(DiskBtreeNodeHeader, blocknr) == kLocationOffset);

// Keys (u64) follow the header, values follow max_entries keys.  A multiple of three, so that a third of a node is
// whole.
constexpr uint32_t BtreeMaxEntries(uint32_t value_bytes) {
  constexpr auto kKeyBytes = static_cast<uint32_t>(sizeof(Le64));
  constexpr auto kBodyBytes = static_cast<uint32_t>(kMetadataBlockBytes - sizeof(DiskBtreeNodeHeader));
  return 3 * (kBodyBytes / (kKeyBytes + value_bytes) / 3);
}
inline constexpr uint32_t kBtreeMaxEntries = BtreeMaxEntries(8);          // Array indexes, all internal nodes.
inline constexpr uint32_t kBtreeOverflowMaxEntries = BtreeMaxEntries(4);  // Reference counts of 3 and more.
static_assert(kBtreeMaxEntries == 252 && kBtreeOverflowMaxEntries == 336);
inline constexpr uint32_t kBtreeMinEntries = kBtreeMaxEntries / 3;  // Of every node but the root.

struct DiskIndexNode {  // A node of an array's index tree: value size 8.
  DiskBtreeNodeHeader header;
  Le64 keys[kBtreeMaxEntries];
  Le64 values[kBtreeMaxEntries];
};
static_assert(sizeof(DiskIndexNode) == 4064 && sizeof(DiskIndexNode) <= kMetadataBlockBytes);

// --- Arrays ---

struct DiskArrayBlockHeader {
  Le32 csum;
  Le32 max_entries;
  Le32 nr_entries;
  Le32 value_size;
  Le64 blocknr;
};
static_assert(sizeof(DiskArrayBlockHeader) == 24 && alignof(DiskArrayBlockHeader) == 1);
static_assert(offsetof(DiskArrayBlockHeader, blocknr) == kArrayBlockLocationOffset);

constexpr uint32_t ArrayMaxEntries(uint32_t value_bytes) {
  return static_cast<uint32_t>(kMetadataBlockBytes - sizeof(DiskArrayBlockHeader)) / value_bytes;
}
inline constexpr uint32_t kArrayWordsPerBlock = ArrayMaxEntries(8);  // Mappings, words of bitsets.
inline constexpr uint32_t kHintsPerBlock = ArrayMaxEntries(4);
static_assert(kArrayWordsPerBlock == 509 && kHintsPerBlock == 1018);
inline constexpr uint32_t kBitsPerWord = 64;  // Bit i of a bitset is bit i % 64 of word i / 64.

// --- Mapping word: oblock << 16 | flags; unmapped: 0 ---

inline constexpr unsigned kMappingFlagBits = 16;
inline constexpr uint64_t kMappingFlagMask = (uint64_t{1} << kMappingFlagBits) - 1;
inline constexpr uint64_t kMappingFlagValid = 1u << 0;
inline constexpr uint64_t kMappingFlagDirty = 1u << 1;  // Version 1 only.

}  // namespace dmcached

#endif  // DMCACHED_CORE_FORMAT_LAYOUT_H_
