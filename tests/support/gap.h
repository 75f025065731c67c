// Most of a large image, left out: blocks that are in use in its space map and that nothing leads to.  What happens on
// both sides of the border between two bitmaps then costs what it costs on a small device.
#ifndef DMCACHED_TESTS_SUPPORT_GAP_H_
#define DMCACHED_TESTS_SUPPORT_GAP_H_

#include <cstdint>

namespace dmcached {

// Blocks [first, end) are not kept.
struct Gap {
  uint64_t first = 0;
  uint64_t end = 0;

  uint64_t blocks() const { return end - first; }
  bool empty() const { return first == end; }
  bool contains(uint64_t block) const { return block >= first && block < end; }
  // Where `block` is among those that are kept.
  uint64_t Kept(uint64_t block) const { return block < first ? block : block - blocks(); }
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_GAP_H_
