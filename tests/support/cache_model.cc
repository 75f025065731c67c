#include "tests/support/cache_model.h"

#include <algorithm>
#include <cctype>

#include "core/base/check.h"
#include "core/cache/geometry.h"

namespace dmcached {
namespace {

constexpr uint64_t kAllOblocks = uint64_t{1} << 48;

template <typename T>
bool HasTwins(std::span<const T> items) {
  return std::set<T>(items.begin(), items.end()).size() != items.size();
}

bool IsPolicyName(const std::string& name) {
  return !name.empty() && name.size() <= 15 && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isgraph(static_cast<unsigned char>(c)) != 0 && c != '<' && c != '&' && c != '"';
  });
}

}  // namespace

CacheModel::CacheModel(const FormatParams& params) : tracking_(params.dirty_tracking) {
  running_.version = params.version;
  running_.data_block_size = static_cast<uint32_t>(params.data_block_size.value());
  running_.policy_name = params.policy_name;
  Resize size{.cache_blocks = params.cache_blocks, .origin_size = std::nullopt};
  if (params.origin_size.value() != 0) size.origin_size = params.origin_size;
  ChangeSize(size);
  Prepare(false);
  Finish();
}

bool CacheModel::IsFree(uint32_t cblock) const {
  return cblock < running_.cache_blocks && !running_.mappings.contains(cblock) && !removed_running_.contains(cblock) &&
         !removed_committing_.contains(cblock);
}

uint32_t CacheModel::free_count() const {
  std::set<uint32_t> held = removed_running_;
  held.insert(removed_committing_.begin(), removed_committing_.end());
  const auto within = std::distance(held.begin(), held.lower_bound(running_.cache_blocks));
  return running_.cache_blocks - static_cast<uint32_t>(running_.mappings.size()) - static_cast<uint32_t>(within);
}

uint32_t CacheModel::dirty_count() const {
  return static_cast<uint32_t>(std::count_if(running_.mappings.begin(), running_.mappings.end(),
                                             [](const auto& item) { return item.second.dirty; }));
}

uint64_t CacheModel::discarded_count() const {
  return static_cast<uint64_t>(std::count(running_.discards.begin(), running_.discards.end(), true));
}

bool CacheModel::DirtyUnder(DblockRange range) const {
  return std::any_of(running_.mappings.begin(), running_.mappings.end(), [&](const auto& item) {
    const uint64_t dblock = item.second.oblock / oblocks_per_dblock();
    return item.second.dirty && dblock >= range.begin.value() && dblock < range.end.value();
  });
}

// --- Faults ---

std::set<Reason> CacheModel::Faults(const Mutation& mutation) const {
  std::set<Reason> faults;
  std::visit([&](const auto& m) { Collect(m, faults); }, mutation);
  return faults;
}

void CacheModel::Collect(const InsertMappings& m, std::set<Reason>& faults) const {
  if (m.cblocks.size() != m.oblocks.size() || (!m.dirty.empty() && m.dirty.size() != m.cblocks.size()) ||
      HasTwins(m.cblocks) || HasTwins(m.oblocks)) {
    faults.insert(Reason::kInvalidRequest);
  }
  for (const uint32_t cblock : m.cblocks) {
    if (cblock >= running_.cache_blocks) {
      faults.insert(Reason::kCblockOutOfRange);
    } else if (!IsFree(cblock)) {
      faults.insert(Reason::kCblockInUse);
    }
  }
  for (const uint64_t oblock : m.oblocks) {
    if (oblock >= oblock_end_) {
      faults.insert(Reason::kOblockOutOfRange);
    } else if (cblock_of_.contains(oblock)) {
      faults.insert(Reason::kOblockAlreadyMapped);
    }
  }
}

void CacheModel::CollectPairs(std::span<const uint32_t> cblocks, std::span<const uint64_t> oblocks,
                              std::set<Reason>& faults) const {
  if (cblocks.size() != oblocks.size()) faults.insert(Reason::kInvalidRequest);
  for (size_t i = 0; i < std::min(cblocks.size(), oblocks.size()); ++i) {
    if (cblocks[i] >= running_.cache_blocks) faults.insert(Reason::kCblockOutOfRange);
    if (oblocks[i] >= oblock_end_) faults.insert(Reason::kOblockOutOfRange);
    const auto at = running_.mappings.find(cblocks[i]);
    if (at == running_.mappings.end() || at->second.oblock != oblocks[i]) faults.insert(Reason::kNotMapped);
  }
}

void CacheModel::Collect(const RemoveMappings& m, std::set<Reason>& faults) const {
  if (m.oblock_range.has_value()) {
    if (!m.cblocks.empty() || !m.oblocks.empty() || m.oblock_range->end < m.oblock_range->begin) {
      faults.insert(Reason::kInvalidRequest);
    }
    size_t within = 0;
    for (const auto& [cblock, to] : running_.mappings) {
      const Oblock oblock(to.oblock);
      if (oblock < m.oblock_range->begin || oblock >= m.oblock_range->end) continue;
      if (to.dirty && !m.discard_dirty) faults.insert(Reason::kMappingDirty);
      ++within;
    }
    if (within > kMaxItemsPerRequest) faults.insert(Reason::kTooManyItems);
    return;
  }
  CollectPairs(m.cblocks, m.oblocks, faults);
  if (HasTwins(m.cblocks)) faults.insert(Reason::kInvalidRequest);
  for (const uint32_t cblock : m.cblocks) {
    const auto at = running_.mappings.find(cblock);
    if (at != running_.mappings.end() && at->second.dirty && !m.discard_dirty) faults.insert(Reason::kMappingDirty);
  }
}

void CacheModel::Collect(const MarkDirty& m, std::set<Reason>& faults) const {
  for (const uint32_t cblock : m.cblocks) {
    if (cblock >= running_.cache_blocks) {
      faults.insert(Reason::kCblockOutOfRange);
    } else if (!running_.mappings.contains(cblock)) {
      faults.insert(Reason::kNotMapped);
    }
  }
}

void CacheModel::Collect(const ClearDirty& m, std::set<Reason>& faults) const {
  CollectPairs(m.cblocks, m.oblocks, faults);
}

void CacheModel::CollectRanges(std::span<const DblockRange> ranges, std::set<Reason>& faults) const {
  for (const DblockRange& range : ranges) {
    if (range.begin > range.end) faults.insert(Reason::kInvalidRequest);
    if (range.end.value() > running_.discards.size()) faults.insert(Reason::kDblockOutOfRange);
  }
}

void CacheModel::Collect(const SetDiscards& m, std::set<Reason>& faults) const {
  CollectRanges(m.ranges, faults);
  if (m.discard_dirty || running_.discards.empty()) return;
  for (const DblockRange& range : m.ranges) {
    if (DirtyUnder(range)) faults.insert(Reason::kMappingDirty);
  }
}

void CacheModel::Collect(const ClearDiscards& m, std::set<Reason>& faults) const { CollectRanges(m.ranges, faults); }

void CacheModel::Collect(const BeginHints& m, std::set<Reason>& faults) const {
  if (!IsPolicyName(m.policy_name) || (m.hint_size_bytes != 0 && m.hint_size_bytes != 4)) {
    faults.insert(Reason::kPolicyInvalid);
  }
}

void CacheModel::Collect(const SaveHints& m, std::set<Reason>& faults) const {
  if (m.cblocks.size() != m.hints.size()) faults.insert(Reason::kInvalidRequest);
  for (const uint32_t cblock : m.cblocks) {
    if (cblock >= running_.cache_blocks) faults.insert(Reason::kCblockOutOfRange);
  }
  if (!running_.hints.has_value()) faults.insert(Reason::kNoHints);
}

void CacheModel::Collect(const Resize& m, std::set<Reason>& faults) const {
  const uint32_t cache_blocks = m.cache_blocks.value_or(running_.cache_blocks);
  for (const auto& [cblock, to] : running_.mappings) {
    if (cblock >= cache_blocks && to.dirty) faults.insert(Reason::kDirtyBlocks);
    if (m.origin_size.has_value() && to.oblock >= m.origin_size->value() / running_.data_block_size) {
      faults.insert(Reason::kGeometryMismatch);
    }
  }
  if (m.origin_size.has_value() && m.origin_size->value() == 0) faults.insert(Reason::kInvalidRequest);
}

std::set<Reason> CacheModel::FaultsOfDiscardGeometry(DiscardGeometry geometry) const {
  const bool fits = geometry.block_size.value() != 0 && geometry.block_size.value() % running_.data_block_size == 0;
  return geometry.blocks > 0 && !fits ? std::set<Reason>{Reason::kInvalidRequest} : std::set<Reason>{};
}

// --- Effects ---

void CacheModel::ClearDiscardOf(uint64_t oblock) {
  if (running_.discards.empty()) return;
  const uint64_t dblock = oblock / oblocks_per_dblock();
  if (dblock < running_.discards.size()) running_.discards[dblock] = false;
}

void CacheModel::Map(uint32_t cblock, uint64_t oblock, bool dirty) {
  running_.mappings[cblock] = {.oblock = oblock, .dirty = dirty};
  cblock_of_[oblock] = cblock;
  ClearDiscardOf(oblock);
}

void CacheModel::Unmap(uint32_t cblock) {
  cblock_of_.erase(running_.mappings.at(cblock).oblock);
  running_.mappings.erase(cblock);
  removed_running_.insert(cblock);
}

void CacheModel::WriteDiscards(std::span<const DblockRange> ranges, bool discarded) {
  for (const DblockRange& range : ranges) {
    for (uint64_t i = range.begin.value(); i < range.end.value(); ++i) running_.discards[i] = discarded;
  }
}

void CacheModel::StartHints(const BeginHints& m) {
  const std::array<uint32_t, 3> version = {m.policy_version.major, m.policy_version.minor, m.policy_version.patch};
  const bool wants_array = m.hint_size_bytes != 0 && running_.cache_blocks > 0;
  if (running_.policy_name == m.policy_name && running_.policy_version == version &&
      running_.policy_hint_size == m.hint_size_bytes && running_.hints.has_value() == wants_array) {
    return;
  }
  running_.policy_name = m.policy_name;
  running_.policy_version = version;
  running_.policy_hint_size = m.hint_size_bytes;
  running_.hints.reset();
  if (wants_array) running_.hints.emplace(running_.cache_blocks);
}

void CacheModel::ChangeSize(const Resize& m) {
  if (m.cache_blocks.has_value()) {
    const uint32_t old = running_.cache_blocks;
    std::vector<uint32_t> cut;
    for (const auto& [cblock, to] : running_.mappings) {
      if (cblock >= *m.cache_blocks) cut.push_back(cblock);
    }
    for (const uint32_t cblock : cut) Unmap(cblock);
    running_.cache_blocks = *m.cache_blocks;
    if (*m.cache_blocks == 0) {
      running_.hints.reset();
    } else if (old == 0 && running_.policy_hint_size == 4) {
      running_.hints.emplace(*m.cache_blocks);
    } else if (running_.hints.has_value()) {
      running_.hints->resize(*m.cache_blocks);
    }
  }
  if (!m.origin_size.has_value()) return;
  oblock_end_ = std::min(kAllOblocks, m.origin_size->value() / running_.data_block_size);
  const DiscardGeometry geometry = ChooseDiscardGeometry(*m.origin_size, Sectors(running_.data_block_size));
  if (geometry.block_size.value() != running_.discard_block_size || geometry.blocks != running_.discards.size()) {
    ResizeDiscards(geometry);
  }
}

void CacheModel::ResizeDiscards(DiscardGeometry geometry) {
  const uint64_t old_size = running_.discard_block_size;
  std::vector<bool> discards(geometry.blocks);
  const auto is_discarded = [&](uint64_t sector) {
    return old_size != 0 && sector / old_size < running_.discards.size() && running_.discards[sector / old_size];
  };
  // Sizes are multiples of the cache block size: one sector of each stands for all.
  const uint64_t step = running_.data_block_size;
  const bool any = discarded_count() > 0;
  for (uint64_t i = 0; any && i < geometry.blocks; ++i) {
    bool all = true;
    for (uint64_t sector = i * geometry.block_size.value(); all && sector < (i + 1) * geometry.block_size.value();
         sector += step) {
      all = is_discarded(sector);
    }
    discards[i] = all;
  }
  running_.discards = std::move(discards);
  running_.discard_block_size = geometry.block_size.value();
}

uint32_t CacheModel::Apply(const Mutation& mutation) {
  DMCACHED_CHECK(Faults(mutation).empty());
  uint32_t removed = 0;
  if (const auto* insert = std::get_if<InsertMappings>(&mutation)) {
    for (size_t i = 0; i < insert->cblocks.size(); ++i) {
      Map(insert->cblocks[i], insert->oblocks[i], !insert->dirty.empty() && insert->dirty[i]);
    }
  } else if (const auto* remove = std::get_if<RemoveMappings>(&mutation)) {
    std::vector<uint32_t> cblocks(remove->cblocks.begin(), remove->cblocks.end());
    for (const auto& [cblock, to] : running_.mappings) {
      if (!remove->oblock_range.has_value()) break;
      if (Oblock(to.oblock) >= remove->oblock_range->begin && Oblock(to.oblock) < remove->oblock_range->end) {
        cblocks.push_back(cblock);
      }
    }
    for (const uint32_t cblock : cblocks) Unmap(cblock);
    removed = static_cast<uint32_t>(cblocks.size());
  } else if (const auto* mark = std::get_if<MarkDirty>(&mutation)) {
    for (const uint32_t cblock : mark->cblocks) {
      running_.mappings[cblock].dirty = true;
      ClearDiscardOf(running_.mappings[cblock].oblock);
    }
  } else if (const auto* clear = std::get_if<ClearDirty>(&mutation)) {
    for (const uint32_t cblock : clear->cblocks) running_.mappings[cblock].dirty = false;
  } else if (const auto* set = std::get_if<SetDiscards>(&mutation)) {
    WriteDiscards(set->ranges, true);
  } else if (const auto* unset = std::get_if<ClearDiscards>(&mutation)) {
    WriteDiscards(unset->ranges, false);
  } else if (const auto* begin = std::get_if<BeginHints>(&mutation)) {
    StartHints(*begin);
  } else if (const auto* save = std::get_if<SaveHints>(&mutation)) {
    for (size_t i = 0; i < save->cblocks.size(); ++i) (*running_.hints)[save->cblocks[i]] = save->hints[i];
  } else if (const auto* stats = std::get_if<SetStats>(&mutation)) {
    running_.stats = stats->stats;
  } else {
    ChangeSize(std::get<Resize>(mutation));
  }
  return removed;
}

// --- Transactions ---

void CacheModel::Prepare(bool clean) {
  running_.clean_shutdown = tracking_ == DirtyTracking::kExact || clean;
  committing_ = running_;
  removed_committing_.swap(removed_running_);
  DMCACHED_CHECK(removed_running_.empty());
}

void CacheModel::Finish() {
  durable_ = committing_;
  removed_committing_.clear();
}

void CacheModel::BoundOblocks(std::optional<Sectors> origin_size) {
  oblock_end_ = kAllOblocks;
  if (origin_size.has_value() && origin_size->value() != 0) {
    oblock_end_ = std::min(kAllOblocks, origin_size->value() / running_.data_block_size);
  } else if (!running_.discards.empty()) {
    const uint64_t end = running_.discards.size() * oblocks_per_dblock();
    // A geometry that some mapping lies beyond is no bound.
    if (cblock_of_.empty() || cblock_of_.rbegin()->first < end) oblock_end_ = end;
  }
}

void CacheModel::Reopen(const CacheContents& medium, DirtyTracking tracking, bool assume_unclean,
                        std::optional<Sectors> origin_size) {
  CacheContents opened = medium;  // It may be a member.
  running_ = std::move(opened);
  tracking_ = tracking;
  removed_running_.clear();
  removed_committing_.clear();
  cblock_of_.clear();
  for (const auto& [cblock, to] : running_.mappings) cblock_of_[to.oblock] = cblock;
  BoundOblocks(origin_size);
  if (!running_.clean_shutdown || assume_unclean) {
    for (auto& [cblock, to] : running_.mappings) to.dirty = true;
    running_.discards.assign(running_.discards.size(), false);
    running_.hints.reset();
  }
  if (origin_size.has_value() && origin_size->value() != 0) {
    const DiscardGeometry geometry = ChooseDiscardGeometry(*origin_size, Sectors(running_.data_block_size));
    if (geometry.block_size.value() != running_.discard_block_size || geometry.blocks != running_.discards.size()) {
      ResizeDiscards(geometry);
    }
  }
  running_.clean_shutdown = tracking == DirtyTracking::kExact;
  committing_ = running_;
  durable_ = running_;
}

}  // namespace dmcached
