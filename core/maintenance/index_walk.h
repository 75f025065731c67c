// Walks the index tree of an array, past whatever is damaged in it, to the locations of the array's blocks.
//
// A node that is lost hides the array blocks that its parent's keys give it; they are named by the finding.  No node is
// read twice, whatever the pointers say, and a level is read whole before the next, so that nothing recurses.
// Source: core/format/README.md, btrees and arrays.
#ifndef DMCACHED_CORE_MAINTENANCE_INDEX_WALK_H_
#define DMCACHED_CORE_MAINTENANCE_INDEX_WALK_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/maintenance/check_context.h"

namespace dmcached {

struct WalkedIndex {
  // By array block; kNoBlock where there is none.  At most as many as the device has blocks.
  std::vector<uint32_t> locations;
  uint64_t surplus = 0;  // Array blocks beyond the array's end.
  bool complete = true;  // No pointer was left aside: what was not reached is not referred to.
};
inline constexpr uint32_t kNoBlock = 0;  // The superblock's, so never that of another block.

class IndexWalk {  // Not thread-safe; for one walk.
 public:
  IndexWalk(CheckContext& context, const ArrayShape& shape);

  // Errors: the check was interrupted.
  absl::StatusOr<WalkedIndex> Run();

 private:
  struct Node {
    uint32_t location;
    uint64_t begin;  // Keys that its parent gives it: [begin, end).
    uint64_t end;
  };

  void Visit(const Node& node, std::span<const std::byte> block);
  void VisitEntries(const Node& node, std::span<const uint64_t> keys, std::span<const uint64_t> values, bool leaf);
  // Notes a pointer to `block`, on behalf of keys [begin, end); false if it is not to be followed.
  bool Claim(uint64_t block, uint64_t begin, uint64_t end);
  void AddLeafEntry(uint64_t key, uint64_t value);
  void LoseNode(const Node& node, absl::string_view why);
  // The array blocks [begin, end) are lost; a finding names them.
  void MarkLost(uint64_t begin, uint64_t end);
  void ReportMissing();
  void Report(FindingKind kind, Severity severity, std::optional<uint64_t> block,
              const std::optional<CblockRange>& cblocks, const std::string& message);

  CheckContext& context_;
  const ArrayShape& shape_;
  const uint64_t known_;  // Array blocks that may have a location: no more than there are blocks.
  WalkedIndex walked_;
  std::vector<bool> reported_;  // By array block: named by a finding.
  std::vector<Node> next_level_;
  size_t level_ = 0;
  std::optional<size_t> leaf_level_;
  uint64_t found_end_ = 0;  // Behind the last array block that is there or lost.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_INDEX_WALK_H_
