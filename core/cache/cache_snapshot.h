// Reads the mappings, hints and discards of one durable state while mutations go on.
#ifndef DMCACHED_CORE_CACHE_CACHE_SNAPSHOT_H_
#define DMCACHED_CORE_CACHE_CACHE_SNAPSHOT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/ids.h"
#include "core/cache/mutation.h"
#include "core/format/superblock.h"

namespace dmcached {

// Whose hints count: nothing means the stored policy.
struct HintPolicy {
  std::string name;
  PolicyVersion version;
};

struct MappingFilter {
  bool dirty_only = false;
  std::optional<CblockRange> cblocks;
  std::optional<OblockRange> oblocks;
  std::optional<HintPolicy> policy;
};

struct MappingPage {  // Columns of equal length, in cblock order.
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;
  std::vector<uint8_t> dirty;         // What must be assumed.
  std::vector<uint8_t> dirty_stored;  // Empty unless it may differ.
  std::vector<uint32_t> hints;        // Empty when hints are not valid.
  std::optional<Cblock> next;         // Where the next page begins; nothing: that was all.
};

struct DiscardPage {
  std::vector<uint64_t> begins;
  std::vector<uint64_t> ends;
  std::optional<Dblock> next;
};

struct HintPage {
  std::vector<uint32_t> cblocks;
  std::vector<uint32_t> hints;
  std::optional<Cblock> next;
};

class CacheSnapshot {  // Each call reads the device and blocks; thread-safe.
 public:
  virtual ~CacheSnapshot() = default;

  // Up to `max_items` mappings from cblock `from` on.  A page may be shorter, or empty with `next` set.
  // Errors: kAborted (SNAPSHOT_REVOKED), kDataLoss (METADATA_CORRUPT), kInternal (IO_ERROR).
  virtual absl::StatusOr<MappingPage> ReadMappings(const MappingFilter& filter, Cblock from, size_t max_items) = 0;
  // Up to `max_items` maximal ranges from dblock `from` on.  Errors: as above.
  virtual absl::StatusOr<DiscardPage> ReadDiscards(Dblock from, size_t max_items) = 0;
  // Valid hints of mapped cblocks.  Errors: as above.
  virtual absl::StatusOr<HintPage> ReadHints(const std::optional<HintPolicy>& policy, Cblock from,
                                             size_t max_items) = 0;

  // For checks: metadata blocks from `first` on as they are on the device (`buffer`: whole blocks, aligned).  The
  // snapshot holds only its own; CheckUsable afterwards says whether they may be believed.
  // Errors: kAborted (SNAPSHOT_REVOKED), kInternal (IO_ERROR).
  virtual absl::Status ReadRaw(MetadataBlock first, std::span<std::byte> buffer) = 0;
  // Errors: kAborted (SNAPSHOT_REVOKED).
  virtual absl::Status CheckUsable() const = 0;
  virtual const Superblock& superblock() const = 0;
  virtual uint64_t device_blocks() const = 0;

  virtual uint64_t transaction() const = 0;
  virtual uint64_t incarnation() const = 0;
  virtual Sectors discard_block_size() const = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_CACHE_SNAPSHOT_H_
