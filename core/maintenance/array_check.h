// Checks what the array blocks hold: mappings, dirty bits, discards, hints.
//
// Source: core/format/README.md, arrays, bitsets, mapping word.
#ifndef DMCACHED_CORE_MAINTENANCE_ARRAY_CHECK_H_
#define DMCACHED_CORE_MAINTENANCE_ARRAY_CHECK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/cache/mapping_words.h"
#include "core/maintenance/cblock_bits.h"
#include "core/maintenance/check_context.h"
#include "core/maintenance/duplicate_origins.h"
#include "core/maintenance/index_walk.h"

namespace dmcached {

class ArrayCheck {  // Not thread-safe.
 public:
  // `states` is filled by Mappings and DirtyBits.
  ArrayCheck(CheckContext& context, CblockBits& states) : context_(context), states_(states) {}

  // Errors of all four: the check was interrupted.
  absl::Status Mappings(const ArrayShape& shape, const WalkedIndex& index);
  // Version 2, after Mappings.
  absl::Status DirtyBits(const ArrayShape& shape, const WalkedIndex& index);
  absl::Status Discards(const ArrayShape& shape, const WalkedIndex& index);
  absl::Status Hints(const ArrayShape& shape, const WalkedIndex& index);

 private:
  // Entries that can be used: [first, first + count) of the array.
  struct Part {
    MetadataBlock location;
    uint64_t first = 0;
    uint64_t count = 0;
    std::span<const std::byte> block;

    uint64_t Word(uint64_t i) const {
      return LoadLe<uint64_t>(block.data() + sizeof(DiskArrayBlockHeader) + i * sizeof(uint64_t));
    }
  };
  struct Extent {
    uint64_t surplus_entries = 0;  // Beyond the array's end.
    uint64_t end = 0;              // Behind the last entry, surplus ones included.
  };

  // Deals with a part that is as it should be, in any thread and order; false leaves it for Visit.
  using Take = std::function<bool(size_t lane, const Part&)>;
  // Told of all other parts, in order.
  using Visit = std::function<void(const Part&)>;

  // Reads every block of the array and reports those that are damaged or short.
  absl::StatusOr<Extent> Walk(const ArrayShape& shape, const WalkedIndex& index, const Take& take, const Visit& visit);
  // The entries of a block that has as many as it needs.
  static std::optional<Part> WholePart(const ArrayShape& shape, uint64_t array_block, MetadataBlock location,
                                       std::span<const std::byte> block);
  // Nothing if the header is wrong, which is reported; else the number of entries.
  std::optional<uint64_t> EntriesOf(const ArrayShape& shape, uint64_t array_block, MetadataBlock location,
                                    std::span<const std::byte> block);
  bool TakeMappings(size_t lane, const Part& part, MappingWords& words, DuplicateOrigins& origins);
  void VisitMappings(const ArrayShape& shape, const Part& part, DuplicateOrigins& origins);
  uint64_t KnownMappingFlags() const;
  bool TakeDirtyWords(const ArrayShape& shape, const Part& part);
  void VisitDirtyWords(const ArrayShape& shape, const Part& part);
  // Whether a bit is set behind the last of `bits` in a bitset.
  static bool HasBitsPastEnd(const Part& part, uint64_t bits);
  absl::Status ReportDuplicates(const ArrayShape& shape, const WalkedIndex& index, const DuplicateOrigins& origins);
  void ReportDirtyUnmapped(const WalkedIndex& index);
  void ReportSurplus(const ArrayShape& shape, const WalkedIndex& index, const Extent& extent);
  void ReportBitsPastEnd(const ArrayShape& shape, MetadataBlock location, uint64_t word, uint64_t bits);
  void Report(FindingKind kind, Severity severity, ArrayKind array, std::optional<MetadataBlock> block,
              const std::optional<CblockRange>& cblocks, const std::string& message, uint64_t count = 1);
  // Where the origin ends, as far as it is known.
  uint64_t OblockEnd() const;

  CheckContext& context_;
  CblockBits& states_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_MAINTENANCE_ARRAY_CHECK_H_
