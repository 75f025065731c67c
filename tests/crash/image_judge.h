// Opens an image that a power cut left and says whether it is what it may be.
#ifndef DMCACHED_TESTS_CRASH_IMAGE_JUDGE_H_
#define DMCACHED_TESTS_CRASH_IMAGE_JUDGE_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "core/cache/cache_info.h"
#include "tests/crash/recorded_history.h"
#include "tests/support/cache_contents.h"

namespace dmcached {

// What a writable open makes of a medium.
CacheContents Opened(CacheContents medium, DirtyTracking tracking);

// The first allowed point from which `medium` would be opened as from itself.  A medium on which an adoption was under
// way differs from its point until it is opened.
std::optional<size_t> FindPoint(const CacheContents& medium, const std::vector<CacheContents>& points,
                                const PointSet& allowed);

struct Verdict {
  std::string failure;  // Empty: as it should be.
  size_t point = 0;     // That was found.
};

// Judges `image`, of which `gap` is left out: the decoder and the checker find no damage before and after it is opened
// for writing, and what is open is an allowed point with every acknowledged mark.  The bytes are as before afterwards.
Verdict JudgeImage(std::span<std::byte> image, const std::vector<CacheContents>& points, const PointSet& allowed,
                   const MarkedCblocks& marked, DirtyTracking tracking, const Gap& gap);

// Which acknowledged mark is missing, in words.
std::string MissingMark(const CacheContents& opened, const MarkedCblocks& marked);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_IMAGE_JUDGE_H_
