#include "tests/interop/kernel/status_line.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace dmcached {

std::optional<StatusLine> FindStatus(const std::vector<std::string>& lines, uint32_t cache, const std::string& when) {
  // begin, length, "cache", metadata block size, used/total metadata blocks, block size, used/total cache blocks, read
  // hits, read misses, write hits, write misses, demotions, promotions, dirty, ..., mode, needs_check or "-".
  constexpr size_t kCacheBlocks = 6;
  constexpr size_t kDirty = 13;
  const std::string prefix = absl::StrCat("status ", cache, " ", when, " ");
  for (const std::string& line : lines) {
    if (!absl::StartsWith(line, prefix)) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(absl::string_view(line).substr(prefix.size()), ' ', absl::SkipWhitespace());
    if (words.size() < kDirty + 3) return std::nullopt;
    const std::vector<absl::string_view> blocks = absl::StrSplit(words[kCacheBlocks], '/');
    StatusLine status;
    if (words[2] != "cache" || blocks.size() != 2 || !absl::SimpleAtoi(blocks[0], &status.mapped) ||
        !absl::SimpleAtoi(blocks[1], &status.cache_blocks) || !absl::SimpleAtoi(words[kDirty], &status.dirty)) {
      return std::nullopt;
    }
    status.writable = words[words.size() - 2] == "rw";
    status.needs_check = words.back() != "-";
    return status;
  }
  return std::nullopt;
}

}  // namespace dmcached
