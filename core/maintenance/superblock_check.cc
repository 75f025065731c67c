#include "core/maintenance/superblock_check.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/format/layout.h"
#include "core/format/seal.h"

namespace dmcached {
namespace {

void Report(FindingCollector& findings, FindingKind kind, Severity severity, const std::string& message) {
  Finding finding;
  finding.kind = kind;
  finding.severity = severity;
  finding.block = MetadataBlock(kSuperblockLocation);
  finding.message = absl::StrCat("superblock: ", message);
  findings.Add(std::move(finding));
}

void CheckFeatureWord(const char* name, uint32_t flags, Severity severity, FindingCollector& findings) {
  if (flags == 0) return;
  Report(findings, FindingKind::kSuperblockField, severity, absl::StrCat("unknown ", name, " 0x", absl::Hex(flags)));
}

void CheckFeatureWords(const Superblock& superblock, FindingCollector& findings) {
  // Nobody looks at unknown bits of the first two, and we keep them; those of the others say what may not be done.
  CheckFeatureWord("flags", superblock.other_flags, Severity::kRepairable, findings);
  CheckFeatureWord("compatible features", superblock.compat_flags & ~kKnownCompatFlags, Severity::kRepairable,
                   findings);
  CheckFeatureWord("read-only-compatible features", superblock.compat_ro_flags & ~kKnownCompatRoFlags, Severity::kFatal,
                   findings);
  CheckFeatureWord("incompatible features", superblock.incompat_flags & ~kKnownIncompatFlags, Severity::kFatal,
                   findings);
}

void CheckDiscardGeometry(const Superblock& superblock, FindingCollector& findings) {
  const uint64_t block_size = superblock.data_block_size.value();
  const uint64_t discard_size = superblock.discard_block_size.value();
  if (superblock.discard_blocks == 0) return;
  if (block_size != 0 && discard_size != 0 && discard_size % block_size == 0 && discard_size <= kMaxOblocks &&
      superblock.discard_blocks <= kMaxOblocks) {
    return;
  }
  Report(findings, FindingKind::kDiscardGeometry, Severity::kRepairable,
         absl::StrCat(superblock.discard_blocks, " discard blocks of ", discard_size, " sectors, cache blocks of ",
                      block_size));
}

}  // namespace

std::optional<Superblock> CheckSuperblockBytes(std::span<const std::byte> block, FindingCollector& findings) {
  const auto& disk = DiskView<DiskSuperblock>(block);
  const absl::Status sealed = CheckBlock(BlockType::kSuperblock, MetadataBlock(kSuperblockLocation), block);
  if (!sealed.ok()) {
    Report(findings, FindingKind::kSuperblockDamaged, Severity::kFatal, std::string(sealed.message()));
    return std::nullopt;
  }
  if (disk.magic.load() != kSuperblockMagic) {
    Report(findings, FindingKind::kSuperblockDamaged, Severity::kFatal,
           absl::StrCat("magic number ", disk.magic.load(), ", not ", kSuperblockMagic));
    return std::nullopt;
  }
  const uint32_t version = disk.version.load();
  if (version < kMinMetadataVersion || version > kMaxMetadataVersion) {
    Report(findings, FindingKind::kSuperblockVersion, Severity::kFatal,
           absl::StrCat("metadata version ", version, " is unknown"));
    return std::nullopt;
  }
  if (std::memchr(disk.policy_name, '\0', kPolicyNameBytes) == nullptr) {
    Report(findings, FindingKind::kSuperblockField, Severity::kFatal, "policy name of 16 characters without a NUL");
  }
  if (std::memchr(disk.uuid, '\0', kUuidBytes) == nullptr) {
    Report(findings, FindingKind::kSuperblockField, Severity::kNote,
           "uuid of 16 bytes without a NUL: tools that print it read on behind it");
  }
  return UnpackFields(block);
}

uint64_t CheckSuperblockFields(const Superblock& superblock, uint64_t device_blocks, FindingCollector& findings) {
  const auto field = [&](const std::string& message) {
    Report(findings, FindingKind::kSuperblockField, Severity::kFatal, message);
  };
  CheckFeatureWords(superblock, findings);
  if (superblock.metadata_block_size_sectors != kMetadataBlockSectors) {
    field(absl::StrCat("metadata block size ", superblock.metadata_block_size_sectors, " sectors, not 8"));
  }
  if (superblock.policy_hint_size != 0 && superblock.policy_hint_size != kHintBytes) {
    field(absl::StrCat("policy hint size ", superblock.policy_hint_size, ", neither 0 nor 4"));
  }
  const uint64_t block_size = superblock.data_block_size.value();
  if (block_size < kMinDataBlockSectors || block_size > kMaxDataBlockSectors ||
      block_size % kMinDataBlockSectors != 0) {
    field(absl::StrCat("data block size ", block_size, " sectors, not a multiple of 64 from 64 to 2097152"));
  }
  CheckDiscardGeometry(superblock, findings);
  if (superblock.needs_check) {
    Report(findings, FindingKind::kNeedsCheckSet, Severity::kNote, "the needs_check flag is set");
  }
  const uint64_t most = std::min(device_blocks, kMaxMetadataBlocks);
  const uint64_t blocks = superblock.space_map.blocks;
  if (blocks != 0 && blocks <= most) return blocks;
  Report(findings, FindingKind::kSpaceMapRoot, Severity::kFatal,
         absl::StrCat("the space map manages ", blocks, " blocks, the device has ", device_blocks));
  return most;
}

}  // namespace dmcached
