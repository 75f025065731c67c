#include "client/cli/superblock_fields.h"

#include "absl/strings/str_cat.h"
#include "client/cli/size.h"

namespace dmcached::cli {
namespace {

std::string YesNo(bool value) { return value ? "yes" : "no"; }

}  // namespace

void AppendSuperblock(const client::Superblock& superblock, Fields& fields) {
  std::string policy = "none";
  if (!superblock.policy_name.empty()) {
    policy = absl::StrCat(superblock.policy_name, " ", FormatPolicyVersion(superblock.policy_version), ", hints of ",
                          superblock.policy_hint_size, " bytes");
  }
  std::string discards = "none";
  if (superblock.discard_block_size_sectors != 0) {
    discards = absl::StrCat(superblock.discard_blocks, " of ",
                            FormatBytes(superblock.discard_block_size_sectors * kSectorBytes));
  }
  const Fields added = {
      {"metadata version", absl::StrCat(superblock.version)},
      {"clean shutdown", YesNo(superblock.clean_shutdown)},
      {"needs check", YesNo(superblock.needs_check)},
      {"cache blocks",
       absl::StrCat(superblock.cache_blocks, " of ", FormatBytes(superblock.data_block_size_sectors * kSectorBytes))},
      {"discard blocks", discards},
      {"policy", policy},
      {"identity", superblock.identity.empty() ? "none" : superblock.identity},
      {"metadata blocks", absl::StrCat(superblock.metadata_blocks, ", ", superblock.free_metadata_blocks, " free")},
      {"read hits, misses", absl::StrCat(superblock.read_hits, ", ", superblock.read_misses)},
      {"write hits, misses", absl::StrCat(superblock.write_hits, ", ", superblock.write_misses)}};
  fields.insert(fields.end(), added.begin(), added.end());
}

}  // namespace dmcached::cli
