// A decoder of metadata images that shares no code with the store: written from the format description alone, so that a
// mistake of the store is not repeated here.  It checks every invariant of a consistent image on its way.
//
// Source: core/format/README.md; structures from core/format/layout.h.
#ifndef DMCACHED_TESTS_SUPPORT_IMAGE_WALKER_H_
#define DMCACHED_TESTS_SUPPORT_IMAGE_WALKER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/cache_contents.h"
#include "tests/support/gap.h"

namespace dmcached {

struct WalkedImage {
  CacheContents contents;
  // Broken invariants: whoever wrote the image.
  std::vector<std::string> problems;
  // What the kernel or the tools 0.9.0 leave and dmcached never does: a leaked block, dirty bits of unmapped cblocks,
  // bits past the end, a hint array of another length than the cache.
  std::vector<std::string> blemishes;
  uint64_t metadata_blocks = 0;
  uint64_t used_blocks = 0;
  uint64_t index_levels = 0;  // Of the mapping array.

  // Problems and blemishes, joined; empty for an image that is as dmcached must leave it.
  std::string Faults() const;
};

// `image` holds what is kept beside `gap`, whose blocks must all be in use.
WalkedImage WalkImage(std::span<const std::byte> image, const Gap& gap = {});

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_IMAGE_WALKER_H_
