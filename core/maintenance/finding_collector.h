// Gathers findings in the order in which they are made, and merges those of one kind over neighbouring places, so that
// a ruined image gives a short list.  Nothing is dropped: what is merged is counted.
//
// Neighbours are findings whose cblocks touch, or, without cblocks, whose blocks do.  From kMaxPerKind findings of one
// kind in one structure on, the last one takes in all that follow, neighbours or not, and says so.
#ifndef DMCACHED_CORE_MAINTENANCE_FINDING_COLLECTOR_H_
#define DMCACHED_CORE_MAINTENANCE_FINDING_COLLECTOR_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/maintenance/finding.h"

namespace dmcached {

class FindingCollector {  // Not thread-safe.
 public:
  static constexpr uint32_t kMaxPerKind = 1000;

  void Add(Finding finding);
  // What was gathered since the last call, messages completed.
  std::vector<Finding> Take();

 private:
  struct Group {  // Findings of one kind in one structure.
    uint32_t findings = 0;
    size_t last = 0;    // Index of the last one.
    bool open = false;  // It is still in `findings_`.
  };
  static constexpr size_t kGroups = kFindingKinds * (kArrayKinds + 1);

  static bool Touch(const Finding& last, const Finding& next);

  std::vector<Finding> findings_;
  std::array<Group, kGroups> groups_{};
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_FINDING_COLLECTOR_H_
