// Checks the space map: that it can be read, and that it says of each metadata block what the walk found.
//
// Source: core/format/README.md, space map.
#ifndef DMCACHED_CORE_MAINTENANCE_SPACE_MAP_CHECK_H_
#define DMCACHED_CORE_MAINTENANCE_SPACE_MAP_CHECK_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/maintenance/check_context.h"
#include "core/maintenance/index_walk.h"

namespace dmcached {

class SpaceMapCheck {  // Not thread-safe.
 public:
  // An array whose blocks the map must call used.
  struct WalkedArray {
    ArrayShape shape;
    WalkedIndex index;
  };

  explicit SpaceMapCheck(CheckContext& context);

  // Reads index block, bitmaps and overflow tree, before anything else claims a block.
  // Errors: the check was interrupted.
  absl::Status Load();
  // After every walk.
  void Compare(std::span<const WalkedArray> arrays);

  uint64_t used() const { return used_; }      // Blocks whose count is not 0.
  uint64_t leaked() const { return leaked_; }  // Those of them that nothing leads to.

 private:
  struct Entry {  // Of the index block.
    uint64_t location = 0;
    uint64_t nr_free = 0;
    uint64_t none_free_before = 0;
    bool readable = false;
  };

  absl::Status LoadBitmaps();
  absl::Status LoadOverflowTree();
  void VisitIndexBlock(std::span<const std::byte> block);
  void VisitBitmap(size_t bitmap, std::span<const std::byte> block);
  bool Claim(uint64_t block, Referrer referrer, const char* what);
  // The two-bit field of a block; nothing if its bitmap cannot be read.
  std::optional<uint64_t> FieldOf(uint64_t block) const;
  void CompareArrays(std::span<const WalkedArray> arrays);
  void CompareBlocks(bool complete);
  void CheckCounters();
  void CheckFree(size_t bitmap);
  void Report(FindingKind kind, Severity severity, std::optional<uint64_t> block, const std::string& message);

  CheckContext& context_;
  const uint64_t blocks_;
  std::vector<Entry> entries_;
  std::vector<uint64_t> words_;  // Of all bitmaps, one after the other.
  std::vector<bool> named_;      // Blocks that are free in the map, reported with their cblocks.
  uint64_t used_ = 0;
  uint64_t leaked_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_SPACE_MAP_CHECK_H_
