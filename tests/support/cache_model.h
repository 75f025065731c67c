// What CacheMetadata must do, in the plainest way: maps and vectors, no blocks, no transactions but copies.
//
// The model predicts each refusal too.  Which of several reasons a request with several faults is refused for is open:
// any of them is right.  Running out of metadata space is not modelled.
#ifndef DMCACHED_TESTS_SUPPORT_CACHE_MODEL_H_
#define DMCACHED_TESTS_SUPPORT_CACHE_MODEL_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "core/base/status.h"
#include "core/cache/cache_metadata.h"
#include "core/cache/mutation.h"
#include "tests/support/cache_contents.h"

namespace dmcached {

class CacheModel {
 public:
  // As Format leaves it, durable.
  explicit CacheModel(const FormatParams& params);

  // The reasons for which the mutation may be refused; none: it must succeed.
  std::set<Reason> Faults(const Mutation& mutation) const;
  // Of a mutation without faults: how many mappings a removal removes.
  uint32_t Apply(const Mutation& mutation);
  std::set<Reason> FaultsOfDiscardGeometry(DiscardGeometry geometry) const;
  void ResizeDiscards(DiscardGeometry geometry);

  void Prepare(bool clean);
  void Finish();
  // The cache was dropped and is opened for writing; the medium holds `medium` (durable() or committing()).
  void Reopen(const CacheContents& medium, DirtyTracking tracking, bool assume_unclean,
              std::optional<Sectors> origin_size);

  const CacheContents& running() const { return running_; }
  const CacheContents& committing() const { return committing_; }
  const CacheContents& durable() const { return durable_; }
  bool IsFree(uint32_t cblock) const;
  uint32_t free_count() const;
  uint64_t oblock_end() const { return oblock_end_; }
  uint32_t dirty_count() const;
  uint64_t discarded_count() const;
  bool DirtyUnder(DblockRange range) const;
  const std::map<uint64_t, uint32_t>& cblock_of() const { return cblock_of_; }

 private:
  void Map(uint32_t cblock, uint64_t oblock, bool dirty);
  void Unmap(uint32_t cblock);
  void ClearDiscardOf(uint64_t oblock);
  uint64_t oblocks_per_dblock() const { return running_.discard_block_size / running_.data_block_size; }
  void WriteDiscards(std::span<const DblockRange> ranges, bool discarded);
  void StartHints(const BeginHints& m);
  void ChangeSize(const Resize& m);
  void BoundOblocks(std::optional<Sectors> origin_size);

  void Collect(const InsertMappings& m, std::set<Reason>& faults) const;
  void Collect(const RemoveMappings& m, std::set<Reason>& faults) const;
  void Collect(const MarkDirty& m, std::set<Reason>& faults) const;
  void Collect(const ClearDirty& m, std::set<Reason>& faults) const;
  void Collect(const SetDiscards& m, std::set<Reason>& faults) const;
  void Collect(const ClearDiscards& m, std::set<Reason>& faults) const;
  void Collect(const BeginHints& m, std::set<Reason>& faults) const;
  void Collect(const SaveHints& m, std::set<Reason>& faults) const;
  void Collect(const SetStats&, std::set<Reason>&) const {}
  void Collect(const Resize& m, std::set<Reason>& faults) const;
  void CollectPairs(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks,
                    std::set<Reason>& faults) const;
  void CollectRanges(std::span<const DblockRange> ranges, std::set<Reason>& faults) const;

  DirtyTracking tracking_;
  CacheContents running_;
  CacheContents committing_;
  CacheContents durable_;
  std::map<uint64_t, uint32_t> cblock_of_;
  std::set<uint32_t> removed_running_;
  std::set<uint32_t> removed_committing_;
  uint64_t oblock_end_ = uint64_t{1} << 48;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_CACHE_MODEL_H_
