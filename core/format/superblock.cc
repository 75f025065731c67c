#include "core/format/superblock.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/base/le.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"

namespace dmcached {
namespace {

constexpr uint32_t kKnownFlags = kFlagCleanShutdown | kFlagNeedsCheck;

absl::Status Damaged(absl::string_view what, int cause) {
  return MakeError(Reason::kMetadataCorrupt, absl::StrCat("superblock: ", what), cause);
}

absl::Status CheckVersion(uint32_t version) {
  if (version >= kMinMetadataVersion && version <= kMaxMetadataVersion) return absl::OkStatus();
  return MakeError(Reason::kUnsupportedVersion,
                   absl::StrCat("superblock: metadata version ", version, "; versions ", kMinMetadataVersion, " and ",
                                kMaxMetadataVersion, " are supported"));
}

// Values that a sealed superblock can hold but no writer leaves there.
absl::Status CheckFields(const DiskSuperblock& disk) {
  const uint32_t metadata_block_size = disk.metadata_block_size.load();
  if (metadata_block_size != kMetadataBlockSectors) {
    return Damaged(absl::StrCat("metadata block size ", metadata_block_size, " sectors, not 8"), EUCLEAN);
  }
  if (std::memchr(disk.policy_name, '\0', kPolicyNameBytes) == nullptr) {
    return Damaged("policy name of 16 characters without a NUL", EUCLEAN);
  }
  const uint32_t hint_size = disk.policy_hint_size.load();
  if (hint_size != 0 && hint_size != kHintBytes) {
    return Damaged(absl::StrCat("policy hint size ", hint_size, ", neither 0 nor 4"), EUCLEAN);
  }
  const uint64_t data_block_size = disk.data_block_size.load();
  if (data_block_size < kMinDataBlockSectors || data_block_size > kMaxDataBlockSectors ||
      data_block_size % kMinDataBlockSectors != 0) {
    return Damaged(
        absl::StrCat("data block size ", data_block_size, " sectors, not a multiple of 64 from 64 to 2097152"),
        EUCLEAN);
  }
  return absl::OkStatus();
}

SpaceMapRoot UnpackSpaceMapRoot(const DiskSpaceMapRoot& disk) {
  return {
      .blocks = disk.nr_blocks.load(),
      .allocated = disk.nr_allocated.load(),
      .index_block = MetadataBlock(disk.bitmap_root.load()),
      .ref_count_root = MetadataBlock(disk.ref_count_root.load()),
  };
}

Superblock Unpack(const DiskSuperblock& disk) {
  Superblock result;
  const uint32_t flags = disk.flags.load();
  result.clean_shutdown = (flags & kFlagCleanShutdown) != 0;
  result.needs_check = (flags & kFlagNeedsCheck) != 0;
  result.other_flags = flags & ~kKnownFlags;
  std::copy(std::begin(disk.uuid), std::end(disk.uuid), result.uuid.begin());
  result.version = disk.version.load();
  result.policy_name = std::string(disk.policy_name, strnlen(disk.policy_name, kPolicyNameBytes));
  for (size_t i = 0; i < result.policy_version.size(); ++i) result.policy_version[i] = disk.policy_version[i].load();
  result.policy_hint_size = disk.policy_hint_size.load();
  result.space_map = UnpackSpaceMapRoot(disk.metadata_space_map_root);
  result.mapping_root = MetadataBlock(disk.mapping_root.load());
  result.hint_root = MetadataBlock(disk.hint_root.load());
  result.discard_root = MetadataBlock(disk.discard_root.load());
  // Writers of version 1 end before this field; what lies there means nothing.
  if (result.version >= 2) result.dirty_root = MetadataBlock(disk.dirty_root.load());
  result.discard_block_size = Sectors(disk.discard_block_size.load());
  result.discard_blocks = disk.discard_nr_blocks.load();
  result.data_block_size = Sectors(disk.data_block_size.load());
  result.metadata_block_size_sectors = disk.metadata_block_size.load();
  result.cache_blocks = disk.cache_blocks.load();
  result.compat_flags = disk.compat_flags.load();
  result.compat_ro_flags = disk.compat_ro_flags.load();
  result.incompat_flags = disk.incompat_flags.load();
  result.read_hits = disk.read_hits.load();
  result.read_misses = disk.read_misses.load();
  result.write_hits = disk.write_hits.load();
  result.write_misses = disk.write_misses.load();
  return result;
}

void PackFields(const Superblock& superblock, DiskSuperblock& disk) {
  disk.flags.store((superblock.clean_shutdown ? kFlagCleanShutdown : 0) |
                   (superblock.needs_check ? kFlagNeedsCheck : 0) | (superblock.other_flags & ~kKnownFlags));
  std::copy(superblock.uuid.begin(), superblock.uuid.end(), std::begin(disk.uuid));
  disk.magic.store(kSuperblockMagic);
  disk.version.store(superblock.version);
  superblock.policy_name.copy(disk.policy_name, kPolicyNameBytes - 1);
  for (size_t i = 0; i < superblock.policy_version.size(); ++i) {
    disk.policy_version[i].store(superblock.policy_version[i]);
  }
  disk.policy_hint_size.store(superblock.policy_hint_size);
  disk.metadata_space_map_root.nr_blocks.store(superblock.space_map.blocks);
  disk.metadata_space_map_root.nr_allocated.store(superblock.space_map.allocated);
  disk.metadata_space_map_root.bitmap_root.store(superblock.space_map.index_block.value());
  disk.metadata_space_map_root.ref_count_root.store(superblock.space_map.ref_count_root.value());
  disk.mapping_root.store(superblock.mapping_root.value());
  disk.hint_root.store(superblock.hint_root.value());
  disk.discard_root.store(superblock.discard_root.value());
  disk.dirty_root.store(superblock.version >= 2 ? superblock.dirty_root.value() : 0);
  disk.discard_block_size.store(superblock.discard_block_size.value());
  disk.discard_nr_blocks.store(superblock.discard_blocks);
  disk.data_block_size.store(static_cast<uint32_t>(superblock.data_block_size.value()));
  disk.metadata_block_size.store(superblock.metadata_block_size_sectors);
  disk.cache_blocks.store(superblock.cache_blocks);
  disk.compat_flags.store(superblock.compat_flags);
  disk.compat_ro_flags.store(superblock.compat_ro_flags);
  disk.incompat_flags.store(superblock.incompat_flags);
  disk.read_hits.store(superblock.read_hits);
  disk.read_misses.store(superblock.read_misses);
  disk.write_hits.store(superblock.write_hits);
  disk.write_misses.store(superblock.write_misses);
}

bool IsIdentityCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
}

}  // namespace

std::string Superblock::identity() const {
  size_t length = uuid.size();
  while (length > 0 && uuid[length - 1] == std::byte{0}) --length;
  return PrintableText({reinterpret_cast<const char*>(uuid.data()), length});
}

std::string PrintableText(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isprint(byte)) {
      text.push_back(c);
    } else {
      absl::StrAppendFormat(&text, "\\x%02x", byte);
    }
  }
  return text;
}

bool IsUnformatted(std::span<const std::byte> block) {
  return std::all_of(block.begin(), block.end(), [](std::byte byte) { return byte == std::byte{0}; });
}

absl::StatusOr<Superblock> UnpackSuperblock(std::span<const std::byte> block) {
  DMCACHED_CHECK(block.size() == kMetadataBlockBytes);
  const auto& disk = DiskView<DiskSuperblock>(block);
  // The kernel's order: location, magic, checksum, version.  What is no superblock at all is then called that.
  if (disk.blocknr.load() != kSuperblockLocation) {
    return Damaged(absl::StrCat("stored location ", disk.blocknr.load()), ENOTBLK);
  }
  if (disk.magic.load() != kSuperblockMagic) {
    return Damaged(absl::StrCat("magic number ", disk.magic.load(), ", not ", kSuperblockMagic), EILSEQ);
  }
  DMCACHED_RETURN_IF_ERROR(CheckBlock(BlockType::kSuperblock, MetadataBlock(kSuperblockLocation), block));
  DMCACHED_RETURN_IF_ERROR(CheckVersion(disk.version.load()));
  DMCACHED_RETURN_IF_ERROR(CheckFields(disk));
  return Unpack(disk);
}

Superblock UnpackFields(std::span<const std::byte> block) {
  DMCACHED_CHECK(block.size() == kMetadataBlockBytes);
  return Unpack(DiskView<DiskSuperblock>(block));
}

absl::Status CheckFeatures(const Superblock& superblock, bool writable) {
  const uint32_t incompat = superblock.incompat_flags & ~kKnownIncompatFlags;
  if (incompat != 0) {
    return MakeError(Reason::kUnsupportedFeature,
                     absl::StrCat("superblock: unknown incompatible features 0x", absl::Hex(incompat)));
  }
  const uint32_t compat_ro = superblock.compat_ro_flags & ~kKnownCompatRoFlags;
  if (writable && compat_ro != 0) {
    return MakeError(Reason::kUnsupportedFeature, absl::StrCat("superblock: unknown features 0x", absl::Hex(compat_ro),
                                                               " allow only a read-only open"));
  }
  return absl::OkStatus();
}

void PackSuperblock(const Superblock& superblock, std::span<std::byte> block) {
  DMCACHED_CHECK(block.size() == kMetadataBlockBytes);
  DMCACHED_CHECK(superblock.policy_name.size() < kPolicyNameBytes);
  DMCACHED_CHECK(superblock.data_block_size.value() <= kMaxDataBlockSectors);
  std::fill(block.begin(), block.end(), std::byte{0});
  PackFields(superblock, MutableDiskView<DiskSuperblock>(block));
  SealBlock(BlockType::kSuperblock, MetadataBlock(kSuperblockLocation), block);
}

absl::Status CheckIdentity(const std::string& identity) {
  // 16 characters would fill the field and make the reference tools read on into the magic number.
  if (identity.empty() || identity.size() >= kUuidBytes ||
      !std::all_of(identity.begin(), identity.end(), IsIdentityCharacter)) {
    return MakeError(Reason::kInvalidRequest, absl::StrCat("identity of ", identity.size(),
                                                           " characters: 1 to 15 of [A-Za-z0-9._-] are allowed"));
  }
  return absl::OkStatus();
}

std::array<std::byte, 16> PackIdentity(const std::string& identity) {
  DMCACHED_CHECK(identity.size() < kUuidBytes);
  std::array<std::byte, 16> uuid{};
  std::memcpy(uuid.data(), identity.data(), identity.size());
  return uuid;
}

}  // namespace dmcached
