// The superblock, unpacked.
//
// Source: core/format/README.md, superblock.
#ifndef DMCACHED_CORE_FORMAT_SUPERBLOCK_H_
#define DMCACHED_CORE_FORMAT_SUPERBLOCK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"

namespace dmcached {

struct SpaceMapRoot {
  uint64_t blocks = 0;           // Managed by the map.
  uint64_t allocated = 0;        // With a count above 0.
  MetadataBlock index_block;     // The one block of bitmap locations.
  MetadataBlock ref_count_root;  // Btree of counts of 3 and more: an empty leaf in every cache image.
  bool operator==(const SpaceMapRoot&) const = default;
};

struct Superblock {
  bool clean_shutdown = false;
  bool needs_check = false;
  uint32_t other_flags = 0;          // Unknown bits of the flags word.
  std::array<std::byte, 16> uuid{};  // Raw; the identity if it is one.
  uint32_t version = 2;
  std::string policy_name;  // At most 15 bytes; PrintableText shows those of a foreign writer.
  std::array<uint32_t, 3> policy_version{};
  uint32_t policy_hint_size = 0;
  SpaceMapRoot space_map;
  MetadataBlock mapping_root;
  MetadataBlock hint_root;  // 0: none.
  MetadataBlock discard_root;
  MetadataBlock dirty_root;  // Version 2 only, else 0.
  Sectors discard_block_size;
  uint64_t discard_blocks = 0;
  Sectors data_block_size;
  uint32_t metadata_block_size_sectors = 8;
  uint32_t cache_blocks = 0;
  uint32_t compat_flags = 0;
  uint32_t compat_ro_flags = 0;
  uint32_t incompat_flags = 0;
  uint32_t read_hits = 0;
  uint32_t read_misses = 0;
  uint32_t write_hits = 0;
  uint32_t write_misses = 0;

  // The uuid field as text: unprintable bytes as \xNN, trailing NULs dropped; empty if it is zero.
  std::string identity() const;
  bool operator==(const Superblock&) const = default;
};

// `bytes` from a disk as text that any peer can take: what is not printable ASCII becomes \xNN.
std::string PrintableText(std::string_view bytes);

// Whether `block` (4096 bytes) is all zeros: not formatted.
bool IsUnformatted(std::span<const std::byte> block);

// Checks and unpacks block 0.  Errors: kDataLoss ENOTBLK (block number), EILSEQ (magic, checksum), EUCLEAN (a field
// that no writer leaves: metadata block size, policy name without NUL, hint size, data block size); kFailedPrecondition
// EINVAL (UNSUPPORTED_VERSION).  Feature flags are not judged here: see CheckFeatures.
absl::StatusOr<Superblock> UnpackSuperblock(std::span<const std::byte> block);

// Unpacks block 0 without judging any field; a policy name without a NUL is cut at 16 characters.
Superblock UnpackFields(std::span<const std::byte> block);

// Unknown incompatible features refuse every open, unknown read-only-compatible ones a writable open.
// Errors: kFailedPrecondition EINVAL (UNSUPPORTED_FEATURE).
absl::Status CheckFeatures(const Superblock& superblock, bool writable);

// Packs and seals block 0 (4096 bytes; what no field covers is zero).
void PackSuperblock(const Superblock& superblock, std::span<std::byte> block);

// At most 15 of [A-Za-z0-9._-], not empty.  Errors: kInvalidArgument (INVALID_REQUEST).
absl::Status CheckIdentity(const std::string& identity);
// NUL padded.  `identity` passed CheckIdentity, or is empty.
std::array<std::byte, 16> PackIdentity(const std::string& identity);

}  // namespace dmcached

#endif  // DMCACHED_CORE_FORMAT_SUPERBLOCK_H_
