#include "tests/support/random_mutation.h"

#include <algorithm>
#include <set>

namespace dmcached {

RandomMutation::RandomMutation(const CacheModel& model, const MutationLimits& limits, Random& random)
    : model_(model), contents_(model.running()), limits_(limits), random_(random) {
  const uint64_t kind = random_.Below(limits.resize ? 100 : 96);
  if (kind < 30) {
    Insert();
  } else if (kind < 42) {
    Remove();
  } else if (kind < 46) {
    RemoveRange();
  } else if (kind < 58) {
    Mark();
  } else if (kind < 70) {
    Clear();
  } else if (kind < 78) {
    Discard(true);
  } else if (kind < 82) {
    Discard(false);
  } else if (kind < 84) {
    StartHints();
  } else if (kind < 92) {
    Hint();
  } else if (kind < 96) {
    Statistics();
  } else {
    ChangeSize();
  }
}

void RandomMutation::Insert() {
  const size_t wanted = random_.Below(limits_.max_items) + 1;
  std::set<uint32_t> cblocks;
  std::set<uint64_t> oblocks;
  const uint64_t end = std::min<uint64_t>(model_.oblock_end(), limits_.max_origin_blocks);
  for (size_t attempt = 0; attempt < 3 * wanted && cblocks.size() < wanted; ++attempt) {
    const uint32_t cblock = AnyCblock();
    const uint64_t oblock = random_.Below(end + 1);
    const bool fits = model_.IsFree(cblock) && oblock < end && !model_.cblock_of().contains(oblock) &&
                      !cblocks.contains(cblock) && !oblocks.contains(oblock);
    if (!fits && !Spoil()) continue;
    cblocks.insert(cblock);
    oblocks.insert(oblock);
    cblocks_.push_back(cblock);
    oblocks_.push_back(oblock);
  }
  if (Spoil()) cblocks_.push_back(AnyCblock());
  dirty_ = std::make_unique<bool[]>(cblocks_.size() + 1);
  for (size_t i = 0; i < cblocks_.size(); ++i) dirty_[i] = random_.OneIn(2);
  const size_t dirty = random_.OneIn(3) ? 0 : cblocks_.size();
  mutation_ = InsertMappings{.cblocks = cblocks_,
                             .oblocks = oblocks_,
                             .dirty = std::span<const bool>(dirty_.get(), dirty),
                             .reservation = std::nullopt};
}

void RandomMutation::PickMapped(bool clean_only) {
  if (contents_.mappings.empty() || Spoil()) {
    cblocks_.push_back(AnyCblock());
    oblocks_.push_back(random_.Below(limits_.max_origin_blocks));
    return;
  }
  const size_t wanted = random_.Below(limits_.max_items) + 1;
  auto at = contents_.mappings.lower_bound(AnyCblock());
  for (; at != contents_.mappings.end() && cblocks_.size() < wanted; ++at) {
    if ((clean_only && at->second.dirty && !random_.OneIn(200)) || random_.OneIn(3)) continue;
    cblocks_.push_back(at->first);
    oblocks_.push_back(at->second.oblock);
  }
  if (Spoil() && !oblocks_.empty()) oblocks_.back() ^= 1;
  if (Spoil() && !oblocks_.empty()) oblocks_.pop_back();
}

void RandomMutation::Remove() {
  const bool discard_dirty = random_.OneIn(3);
  PickMapped(!discard_dirty);
  if (Spoil() && !cblocks_.empty()) {
    cblocks_.push_back(cblocks_.front());
    oblocks_.push_back(oblocks_.empty() ? 0 : oblocks_.front());
  }
  mutation_ = RemoveMappings{
      .cblocks = cblocks_, .oblocks = oblocks_, .oblock_range = std::nullopt, .discard_dirty = discard_dirty};
}

void RandomMutation::RemoveRange() {
  const uint64_t begin = random_.Below(limits_.max_origin_blocks);
  const uint64_t width = random_.Below(random_.OneIn(8) ? limits_.max_origin_blocks : 200);
  OblockRange range = {Oblock(begin), Oblock(begin + width)};
  if (Spoil()) std::swap(range.begin, range.end);
  mutation_ = RemoveMappings{
      .cblocks = cblocks_, .oblocks = oblocks_, .oblock_range = range, .discard_dirty = !random_.OneIn(3)};
}

void RandomMutation::Mark() {
  PickMapped(false);
  mutation_ = MarkDirty{.cblocks = cblocks_};
}

void RandomMutation::Clear() {
  PickMapped(false);
  mutation_ = ClearDirty{.cblocks = cblocks_, .oblocks = oblocks_};
}

void RandomMutation::Discard(bool set) {
  const uint64_t blocks = contents_.discards.size();
  const bool discard_dirty = random_.OneIn(3);
  for (uint64_t i = random_.Below(4); i < 4; ++i) {
    const uint64_t begin = random_.Below(blocks + 1);
    const uint64_t end = std::min(blocks, begin + random_.Below(random_.OneIn(4) ? 400 : 20));
    const DblockRange range = {Dblock(begin), Dblock(end)};
    if (begin > end || (set && !discard_dirty && !Spoil() && blocks > 0 && model_.DirtyUnder(range))) continue;
    ranges_.push_back(range);
  }
  if (Spoil()) ranges_.push_back({Dblock(3), Dblock(blocks + 1)});
  if (Spoil()) ranges_.push_back({Dblock(3), Dblock(2)});
  if (set) {
    mutation_ = SetDiscards{.ranges = ranges_, .discard_dirty = discard_dirty};
  } else {
    mutation_ = ClearDiscards{.ranges = ranges_};
  }
}

void RandomMutation::StartHints() {
  const char* const names[] = {"smq", "mq", "cleaner", "fifteen-letters", "", "<b>", "sixteen-letters-"};
  const uint32_t sizes[] = {4, 4, 4, 0, 0, 8};
  mutation_ = BeginHints{.policy_name = names[random_.Below(random_.OneIn(5) ? 7 : 4)],
                         .policy_version = {.major = static_cast<uint32_t>(random_.Below(3)), .minor = 0, .patch = 7},
                         .hint_size_bytes = sizes[random_.Below(random_.OneIn(5) ? 6 : 4)]};
}

void RandomMutation::Hint() {
  for (size_t i = random_.Below(limits_.max_items); i < limits_.max_items; ++i) {
    if (contents_.cache_blocks == 0 && !Spoil()) continue;
    cblocks_.push_back(contents_.cache_blocks == 0 || Spoil()
                           ? AnyCblock()
                           : static_cast<uint32_t>(random_.Below(contents_.cache_blocks)));
    hints_.push_back(static_cast<uint32_t>(random_.Next()));
  }
  if (Spoil()) hints_.push_back(1);
  mutation_ = SaveHints{.cblocks = cblocks_, .hints = hints_};
}

void RandomMutation::Statistics() {
  auto any = [&] { return static_cast<uint32_t>(random_.Next()); };
  mutation_ = SetStats{.stats = {.read_hits = any(), .read_misses = any(), .write_hits = any(), .write_misses = any()}};
}

void RandomMutation::ChangeSize() {
  Resize size;
  if (!random_.OneIn(3)) {
    const uint32_t edges[] = {0, 1, 63, 64, 65, 508, 509, 510, 1017, 1018, 1019, 2036};
    auto blocks = static_cast<uint32_t>(random_.Below(limits_.max_cache_blocks + 1));
    if (random_.OneIn(3)) blocks = std::min(edges[random_.Below(std::size(edges))], limits_.max_cache_blocks);
    if (!random_.OneIn(3)) {  // Down to just what is dirty, which succeeds.
      for (const auto& [cblock, to] : contents_.mappings) {
        if (to.dirty) blocks = std::max(blocks, cblock + 1);
      }
    }
    size.cache_blocks = blocks;
  }
  if (random_.OneIn(2)) {
    uint64_t blocks = random_.Below(limits_.max_origin_blocks) + 1;
    if (!random_.OneIn(3) && !model_.cblock_of().empty()) {
      blocks = std::max(blocks, model_.cblock_of().rbegin()->first + 1);
    }
    // Not always a multiple of the block size.
    const uint64_t rest = random_.OneIn(2) ? random_.Below(contents_.data_block_size) : 0;
    size.origin_size = Sectors(Spoil() ? 0 : blocks * contents_.data_block_size + rest);
  }
  mutation_ = size;
}

}  // namespace dmcached
