#include "core/cache/geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/origin_index.h"

namespace dmcached {
namespace {

constexpr uint64_t kComfortableCacheBlocks = 1000000;
// A transaction in each of the durable, committing and open states, and room for neighbours: commits stay sequential.
constexpr uint64_t kRecommendedFactor = 4;
// Any single request copies each live block at most once.
constexpr uint64_t kLeastFactor = 2;
constexpr uint64_t kStateBitsPerCacheBlock = 4;  // Mapped, dirty, held, claimed.
constexpr uint64_t kUsedBitmaps = 7;             // Running, committing, durable, and four snapshots.
constexpr uint64_t kDirectoryBytesPerArrayBlock = 40;

// Blocks of an array and of its index tree, built bottom-up.
uint64_t ArrayBlocks(uint64_t entries, uint64_t entries_per_block) {
  const uint64_t array_blocks = CeilDiv(entries, entries_per_block);
  uint64_t total = array_blocks;
  uint64_t level = array_blocks;
  do {
    level = std::max<uint64_t>(1, CeilDiv(level, kBtreeMaxEntries));
    total += level;
  } while (level > 1);
  return total;
}

uint64_t BitsetBlocks(uint64_t bits) { return ArrayBlocks(CeilDiv(bits, kBitsPerWord), kArrayWordsPerBlock); }

Sectors DefaultDataBlockSize(Sectors fast_size) {
  uint64_t size = kMinDataBlockSectors;
  while (size < kMaxDataBlockSectors && fast_size.value() / size > kComfortableCacheBlocks) size *= 2;
  return Sectors(size);
}

// The number of bitmaps depends on the size, so the size is grown until it holds `factor` times what it needs itself.
uint64_t MetadataBlocksFor(uint64_t cache_blocks, uint64_t discard_blocks, uint64_t factor) {
  uint64_t blocks = 0;
  uint64_t needed = factor * LiveMetadataBlocks(kMaxMetadataVersion, cache_blocks, discard_blocks, true, blocks);
  while (blocks < needed) {
    blocks = needed;
    needed = factor * LiveMetadataBlocks(kMaxMetadataVersion, cache_blocks, discard_blocks, true, blocks);
  }
  return blocks;
}

uint64_t MemoryBytes(const Plan& plan, uint64_t metadata_blocks, uint64_t block_cache_bytes) {
  const uint64_t array_blocks =
      CeilDiv(plan.cache_blocks, kArrayWordsPerBlock) + CeilDiv(plan.cache_blocks, kHintsPerBlock);
  return static_cast<uint64_t>(std::ceil(OriginIndex::kBytesPerCacheBlock * plan.cache_blocks)) +
         CeilDiv(plan.cache_blocks * kStateBitsPerCacheBlock, 8) + kUsedBitmaps * CeilDiv(metadata_blocks, 8) +
         kDirectoryBytesPerArrayBlock * array_blocks + block_cache_bytes;
}

void AddWarnings(Sectors fast_size, uint64_t recommended_blocks, Plan& plan) {
  if (plan.cache_blocks > kComfortableCacheBlocks) {
    plan.warnings.push_back(absl::StrCat(plan.cache_blocks,
                                         " cache blocks need much memory and metadata: a larger "
                                         "block size keeps them below ",
                                         kComfortableCacheBlocks));
  }
  if (plan.cache_blocks > plan.origin_blocks) {
    plan.warnings.push_back(absl::StrCat("the cache has ", plan.cache_blocks, " blocks but the origin only ",
                                         plan.origin_blocks, ": part of the fast device stays unused"));
  }
  const uint64_t unused = fast_size.value() % plan.data_block_size.value();
  if (unused != 0) {
    plan.warnings.push_back(absl::StrCat("the last ", unused, " sectors of the fast device do not fill a block"));
  }
  if (recommended_blocks > kMaxMetadataBlocks) {
    plan.warnings.push_back(absl::StrCat("metadata is limited to ", kMaxMetadataBlocks,
                                         " blocks: commits of this cache have less room than recommended"));
  }
}

absl::Status Invalid(absl::string_view message) { return MakeError(Reason::kInvalidRequest, message); }

absl::Status CheckSizes(Sectors origin_size, Sectors fast_size, Sectors block_size) {
  DMCACHED_RETURN_IF_ERROR(CheckDataBlockSize(block_size));
  const uint64_t cache_blocks = fast_size.value() / block_size.value();
  if (cache_blocks == 0) {
    return Invalid(absl::StrCat("fast device of ", fast_size.value(), " sectors is smaller than one block of ",
                                block_size.value(), " sectors"));
  }
  if (cache_blocks > std::numeric_limits<uint32_t>::max()) {
    return Invalid(absl::StrCat("fast device of ", fast_size.value(), " sectors has ", cache_blocks, " blocks of ",
                                block_size.value(), " sectors, more than 32 bits hold"));
  }
  if (CeilDiv(origin_size.value(), block_size.value()) > kMaxOblocks) {
    return Invalid(absl::StrCat("origin of ", origin_size.value(), " sectors has more than 2^48 blocks of ",
                                block_size.value(), " sectors"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckDataBlockSize(Sectors block_size) {
  const uint64_t sectors = block_size.value();
  if (sectors >= kMinDataBlockSectors && sectors <= kMaxDataBlockSectors && sectors % kMinDataBlockSectors == 0) {
    return absl::OkStatus();
  }
  return Invalid(absl::StrCat("data block size of ", sectors, " sectors: a multiple of ", kMinDataBlockSectors,
                              " sectors (32 KiB) up to ", kMaxDataBlockSectors, " sectors (1 GiB) is needed"));
}

DiscardGeometry ChooseDiscardGeometry(Sectors origin_size, Sectors data_block_size) {
  if (origin_size.value() == 0 || data_block_size.value() == 0) return {};
  uint64_t block_size = data_block_size.value();
  while (CeilDiv(origin_size.value(), block_size) > kMaxDiscardBlocks) block_size *= 2;
  return {.block_size = Sectors(block_size), .blocks = CeilDiv(origin_size.value(), block_size)};
}

uint64_t LiveMetadataBlocks(uint32_t version, uint64_t cache_blocks, uint64_t discard_blocks, bool hints,
                            uint64_t metadata_blocks) {
  constexpr uint64_t kSuperblockIndexAndOverflowLeaf = 3;
  const uint64_t bitmaps =
      std::max<uint64_t>(1, CeilDiv(std::min(metadata_blocks, kMaxMetadataBlocks), kEntriesPerBitmap));
  uint64_t total = kSuperblockIndexAndOverflowLeaf + bitmaps;
  total += ArrayBlocks(cache_blocks, kArrayWordsPerBlock);
  total += BitsetBlocks(discard_blocks);
  if (version >= 2) total += BitsetBlocks(cache_blocks);
  if (hints) total += ArrayBlocks(cache_blocks, kHintsPerBlock);
  return total;
}

absl::StatusOr<Plan> PlanCache(Sectors origin_size, Sectors fast_size, Sectors data_block_size,
                               uint64_t block_cache_bytes) {
  if (origin_size.value() == 0) return Invalid("origin of 0 sectors");
  if (fast_size.value() == 0) return Invalid("fast device of 0 sectors");
  if (data_block_size.value() == 0) data_block_size = DefaultDataBlockSize(fast_size);
  DMCACHED_RETURN_IF_ERROR(CheckSizes(origin_size, fast_size, data_block_size));

  Plan plan;
  plan.data_block_size = data_block_size;
  plan.cache_blocks = static_cast<uint32_t>(fast_size.value() / data_block_size.value());
  plan.origin_blocks = origin_size.value() / data_block_size.value();
  plan.discards = ChooseDiscardGeometry(origin_size, data_block_size);
  const uint64_t least = MetadataBlocksFor(plan.cache_blocks, plan.discards.blocks, kLeastFactor);
  if (least > kMaxMetadataBlocks) {
    return Invalid(absl::StrCat(plan.cache_blocks, " cache blocks need ", least, " metadata blocks, more than the ",
                                kMaxMetadataBlocks, " that metadata can have: choose a larger block size"));
  }
  const uint64_t recommended = MetadataBlocksFor(plan.cache_blocks, plan.discards.blocks, kRecommendedFactor);
  const uint64_t recommended_usable = std::min(recommended, kMaxMetadataBlocks);
  plan.metadata_bytes = least * kMetadataBlockBytes;
  plan.recommended_metadata_bytes = recommended_usable * kMetadataBlockBytes;
  plan.memory_bytes = MemoryBytes(plan, recommended_usable, block_cache_bytes);
  AddWarnings(fast_size, recommended, plan);
  return plan;
}

}  // namespace dmcached
