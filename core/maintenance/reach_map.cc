#include "core/maintenance/reach_map.h"

namespace dmcached {

const char* ReferrerName(Referrer referrer) {
  switch (referrer) {
    case Referrer::kNone:
      return "nothing";
    case Referrer::kSuperblock:
      return "superblock";
    case Referrer::kSpaceMap:
      return "space map";
    case Referrer::kOverflowTree:
      return "overflow tree";
    case Referrer::kMappings:
    case Referrer::kDirty:
    case Referrer::kDiscards:
    case Referrer::kHints:
      return ArrayKindName(
          static_cast<ArrayKind>(static_cast<uint8_t>(referrer) - static_cast<uint8_t>(Referrer::kMappings)));
  }
  return "nothing";
}

}  // namespace dmcached
