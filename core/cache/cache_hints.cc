// CacheMetadata: hints, one u32 per cblock, meaningful only to the policy that wrote them.
//
// A hint array is never empty and always has an entry per cache block: an empty one under CLEAN_SHUTDOWN panics
// Linux 6.1.
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/format/layout.h"

namespace dmcached {

absl::Status CheckPolicyName(const std::string& name) {
  if (name.empty() || name.size() >= kPolicyNameBytes) {
    return MakeError(Reason::kPolicyInvalid, absl::StrCat("policy name of ", name.size(), " characters; 1 to ",
                                                          kPolicyNameBytes - 1, " are allowed"));
  }
  for (const char c : name) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) || c == '<' || c == '&' || c == '"') {
      return MakeError(Reason::kPolicyInvalid, "policy name: only printable characters but blanks, <, & and \"");
    }
  }
  return absl::OkStatus();
}

bool CacheMetadata::hints_valid() const {
  return !assume_all_dirty_ && has_hints() && superblock_.policy_hint_size == kHintBytes &&
         !superblock_.policy_name.empty();
}

absl::Status CacheMetadata::BeginHints(const dmcached::BeginHints& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckPolicyName(request.policy_name));
  if (request.hint_size_bytes != 0 && request.hint_size_bytes != kHintBytes) {
    return MakeError(Reason::kPolicyInvalid,
                     absl::StrCat("hint size of ", request.hint_size_bytes, " bytes; 0 or 4 are allowed"));
  }
  const std::array<uint32_t, 3> version = {request.policy_version.major, request.policy_version.minor,
                                           request.policy_version.patch};
  const bool same = superblock_.policy_name == request.policy_name && superblock_.policy_version == version &&
                    superblock_.policy_hint_size == request.hint_size_bytes;
  const bool wants_array = request.hint_size_bytes != 0 && superblock_.cache_blocks > 0;
  if (same && wants_array == has_hints()) return absl::OkStatus();
  if (wants_array) {
    const Geometry geometry = {.cache_blocks = superblock_.cache_blocks,
                               .discards = {superblock_.discard_block_size, superblock_.discard_blocks},
                               .create_hints = true};
    DMCACHED_RETURN_IF_ERROR(Reshape(geometry, set));
    if (!set.complete()) return absl::OkStatus();
  } else {
    DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(0));
    store_->DropArray(ArrayKind::kHints);
  }
  superblock_.policy_name = request.policy_name;
  superblock_.policy_version = version;
  superblock_.policy_hint_size = request.hint_size_bytes;
  changed_ = true;
  return absl::OkStatus();
}

absl::Status CacheMetadata::SaveHints(const dmcached::SaveHints& request, BlockSet& set) {
  DMCACHED_RETURN_IF_ERROR(CheckWritable());
  DMCACHED_RETURN_IF_ERROR(CheckColumns(request.cblocks.size(), request.hints.size(), "hints"));
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    DMCACHED_RETURN_IF_ERROR(CheckCblock(request.cblocks[i], i));
  }
  if (!hints_valid()) {
    return MakeError(Reason::kNoHints, "the cache has no hint array; begin hints for a policy first");
  }
  if (store_->array(ArrayKind::kHints).entries() < superblock_.cache_blocks) {
    // A foreign writer left it short.  Extending it with zeros is whole in itself, so a later round may find it done.
    DMCACHED_RETURN_IF_ERROR(Reshape({.cache_blocks = superblock_.cache_blocks,
                                      .discards = {superblock_.discard_block_size, superblock_.discard_blocks}},
                                     set));
    if (!set.complete()) return absl::OkStatus();
  }
  PackedArray& hints = store_->array(ArrayKind::kHints);
  for (const uint32_t cblock : request.cblocks) set.Change(hints, cblock / kHintsPerBlock);
  if (!set.complete()) return absl::OkStatus();
  DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
  for (size_t i = 0; i < request.cblocks.size(); ++i) {
    const std::span<std::byte> block = store_->Writable(ArrayKind::kHints, request.cblocks[i] / kHintsPerBlock);
    StoreLe(block.data() + sizeof(DiskArrayBlockHeader) + request.cblocks[i] % kHintsPerBlock * kHintBytes,
            request.hints[i]);
  }
  Applied(MutationOp::kSaveHint, request.cblocks.size(), set);
  return absl::OkStatus();
}

}  // namespace dmcached
