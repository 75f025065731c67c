#include "core/format/seal.h"

#include <cerrno>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/crc32c.h"
#include "core/base/le.h"
#include "core/base/status.h"
#include "core/format/layout.h"

namespace dmcached {
namespace {

// Like the reason, for this process only.
constexpr absl::string_view kBlockTypeUrl = "dmcached/block-type";
constexpr BlockType kBlockTypes[] = {BlockType::kSuperblock, BlockType::kBtreeNode, BlockType::kArrayBlock,
                                     BlockType::kSpaceMapIndex, BlockType::kSpaceMapBitmap};

struct BlockTraits {
  const char* name;
  uint32_t salt;
  size_t location_offset;
};

BlockTraits TraitsOf(BlockType type) {
  switch (type) {
    case BlockType::kSuperblock:
      return {"superblock", kSuperblockSalt, kLocationOffset};
    case BlockType::kBtreeNode:
      return {"btree node", kBtreeNodeSalt, kLocationOffset};
    case BlockType::kArrayBlock:
      return {"array block", kArrayBlockSalt, kArrayBlockLocationOffset};
    case BlockType::kSpaceMapIndex:
      return {"space-map index block", kSpaceMapIndexSalt, kLocationOffset};
    case BlockType::kSpaceMapBitmap:
      return {"space-map bitmap block", kSpaceMapBitmapSalt, kLocationOffset};
  }
  DMCACHED_UNREACHABLE("unknown block type");
}

uint32_t Checksum(const BlockTraits& traits, std::span<const std::byte> block) {
  return RawCrc32c(block.subspan(kChecksumBytes)) ^ traits.salt;
}

absl::Status Refused(BlockType type, const std::string& message, int cause) {
  absl::Status status = MakeError(Reason::kMetadataCorrupt, message, cause);
  status.SetPayload(kBlockTypeUrl, absl::Cord(TraitsOf(type).name));
  return status;
}

}  // namespace

const char* BlockTypeName(BlockType type) { return TraitsOf(type).name; }

void SealBlock(BlockType type, MetadataBlock location, std::span<std::byte> block) {
  DMCACHED_CHECK(block.size() == kMetadataBlockBytes);
  const BlockTraits traits = TraitsOf(type);
  StoreLe<uint64_t>(block.data() + traits.location_offset, location.value());
  StoreLe<uint32_t>(block.data(), Checksum(traits, block));
}

absl::Status CheckBlock(BlockType type, MetadataBlock location, std::span<const std::byte> block) {
  DMCACHED_CHECK(block.size() == kMetadataBlockBytes);
  const BlockTraits traits = TraitsOf(type);
  // In the kernel's order: a block that was written elsewhere is reported as such although its checksum may fit.
  const auto stored_location = LoadLe<uint64_t>(block.data() + traits.location_offset);
  if (stored_location != location.value()) {
    return Refused(type, absl::StrCat(traits.name, " ", location.value(), ": stored location ", stored_location),
                   ENOTBLK);
  }
  const auto stored = LoadLe<uint32_t>(block.data());
  const uint32_t computed = Checksum(traits, block);
  if (stored != computed) {
    return Refused(type,
                   absl::StrCat(traits.name, " ", location.value(), ": stored checksum 0x", absl::Hex(stored),
                                ", computed 0x", absl::Hex(computed)),
                   EILSEQ);
  }
  return absl::OkStatus();
}

std::optional<BlockType> FailedBlockType(const absl::Status& status) {
  const absl::optional<absl::Cord> payload = status.GetPayload(kBlockTypeUrl);
  if (!payload.has_value()) return std::nullopt;
  for (const BlockType type : kBlockTypes) {
    if (*payload == BlockTypeName(type)) return type;
  }
  return std::nullopt;
}

}  // namespace dmcached
