#include "tests/fuzz/metadata_reads.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/base/mutex.h"
#include "core/cache/snapshot_reader.h"
#include "core/format/layout.h"
#include "core/store/block_set.h"
#include "tests/support/manual_clock.h"

namespace dmcached {
namespace {

// A list that is never at its end is as bad as one that hangs.
constexpr int kMostPages = 200;

uint64_t PickNumber(FuzzedDataProvider& data) {
  return data.PickValueInArray<uint64_t>({0, 1, 5, 508, 509, 519, 520, 1018, 9000, UINT32_MAX, kMaxOblocks});
}

MappingFilter PickFilter(FuzzedDataProvider& data) {
  MappingFilter filter;
  filter.dirty_only = data.ConsumeBool();
  if (data.ConsumeBool()) {
    filter.cblocks = CblockRange{Cblock(static_cast<uint32_t>(std::min<uint64_t>(PickNumber(data), UINT32_MAX))),
                                 Cblock(static_cast<uint32_t>(std::min<uint64_t>(PickNumber(data), UINT32_MAX)))};
  }
  if (data.ConsumeBool()) filter.oblocks = OblockRange{Oblock(PickNumber(data)), Oblock(PickNumber(data))};
  if (data.ConsumeBool()) filter.policy = HintPolicy{.name = "smq", .version = {.major = 1}};
  return filter;
}

// Page after page from `from` on: `read` gives the next page and where the one after it begins.
void ReadPages(uint64_t from, const std::function<std::optional<uint64_t>(uint64_t from)>& read) {
  for (int i = 0; i < kMostPages; ++i) {
    const std::optional<uint64_t> next = read(from);
    if (!next.has_value()) return;
    DMCACHED_CHECK(*next > from);
    from = *next;
  }
}

void ListMappings(CacheSnapshot& snapshot, uint64_t from, size_t max_items, const MappingFilter& filter) {
  ReadPages(from, [&](uint64_t begin) -> std::optional<uint64_t> {
    const auto page = snapshot.ReadMappings(filter, Cblock(static_cast<uint32_t>(begin)), max_items);
    if (!page.ok()) return std::nullopt;
    const size_t items = page->cblocks.size();
    DMCACHED_CHECK(items <= max_items && page->oblocks.size() == items && page->dirty.size() == items);
    DMCACHED_CHECK(page->dirty_stored.empty() || page->dirty_stored.size() == items);
    DMCACHED_CHECK(page->hints.empty() || page->hints.size() == items);
    DMCACHED_CHECK(std::is_sorted(page->cblocks.begin(), page->cblocks.end()));
    DMCACHED_CHECK(items == 0 || page->cblocks.back() < snapshot.superblock().cache_blocks);
    return page->next.has_value() ? std::optional<uint64_t>(page->next->value()) : std::nullopt;
  });
}

void ListHints(CacheSnapshot& snapshot, uint64_t from, size_t max_items, const std::optional<HintPolicy>& policy) {
  ReadPages(from, [&](uint64_t begin) -> std::optional<uint64_t> {
    const auto page = snapshot.ReadHints(policy, Cblock(static_cast<uint32_t>(begin)), max_items);
    if (!page.ok()) return std::nullopt;
    DMCACHED_CHECK(page->cblocks.size() <= max_items && page->hints.size() == page->cblocks.size());
    return page->next.has_value() ? std::optional<uint64_t>(page->next->value()) : std::nullopt;
  });
}

void ListDiscards(CacheSnapshot& snapshot, uint64_t from, size_t max_items) {
  ReadPages(from, [&](uint64_t begin) -> std::optional<uint64_t> {
    const auto page = snapshot.ReadDiscards(Dblock(begin), max_items);
    if (!page.ok()) return std::nullopt;
    DMCACHED_CHECK(page->begins.size() <= max_items && page->ends.size() == page->begins.size());
    for (size_t i = 0; i < page->ends.size(); ++i) {
      DMCACHED_CHECK(page->begins[i] >= begin && page->begins[i] < page->ends[i]);
      begin = page->ends[i];
    }
    DMCACHED_CHECK(begin <= std::max(from, snapshot.superblock().discard_blocks));
    return page->next.has_value() ? std::optional<uint64_t>(page->next->value()) : std::nullopt;
  });
}

}  // namespace

void ListMetadata(CacheMetadata& cache, FuzzedDataProvider& data) {
  const ManualClock clock;
  SnapshotReader::Source source;
  source.device = cache.device();
  source.snapshot = cache.store().TakeSnapshot();
  source.assume_all_dirty = cache.must_assume_all_dirty();
  source.on_damage = [](const absl::Status& damage) { DMCACHED_CHECK(!damage.ok()); };
  SnapshotReader snapshot(std::move(source), clock);
  for (int i = data.ConsumeIntegralInRange<int>(0, 3); i > 0; --i) {
    const uint64_t from = std::min<uint64_t>(PickNumber(data), UINT32_MAX);
    const auto max_items = data.ConsumeIntegralInRange<size_t>(1, 600);
    const MappingFilter filter = PickFilter(data);
    ListMappings(snapshot, from, max_items, filter);
    ListHints(snapshot, from, max_items, filter.policy);
    ListDiscards(snapshot, PickNumber(data), max_items);
  }
}

void LookUpBlocks(CacheMetadata& cache, FuzzedDataProvider& data) {
  const std::vector<uint32_t> cblocks = {0, 5, static_cast<uint32_t>(std::min<uint64_t>(PickNumber(data), UINT32_MAX))};
  const std::vector<uint64_t> oblocks = {10, 79, PickNumber(data)};
  std::vector<LookedUp> found;
  Mutex unshared;
  (void)RunWithBlocks(unshared, cache.store(), [&](BlockSet& set) { return cache.LookupCblocks(cblocks, set, found); });
  const absl::Status status =
      RunWithBlocks(unshared, cache.store(), [&](BlockSet& set) { return cache.LookupOblocks(oblocks, set, found); });
  if (!status.ok()) return;
  for (const LookedUp& item : found) DMCACHED_CHECK(!item.mapped || item.cblock.value() < cache.cache_blocks());
}

}  // namespace dmcached
