#include "tests/interop/kernel/caller.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/interop/kernel/batch.h"

namespace dmcached {
namespace {

// What the service says of an open cache, gathered call by call.  The clean flag and the statistics are not shown as
// the medium has them, and are taken from `expected`.
absl::StatusOr<CacheContents> Ask(client::Client& client, const std::string& name, const CacheContents& expected) {
  const absl::StatusOr<client::Cache> cache = client.GetCache(name);
  if (!cache.ok()) return cache.status();
  const client::Superblock& superblock = cache->superblock;
  CacheContents found;
  found.version = superblock.version;
  found.clean_shutdown = expected.clean_shutdown;
  found.needs_check = superblock.needs_check;
  found.data_block_size = superblock.data_block_size_sectors;
  found.cache_blocks = superblock.cache_blocks;
  found.discard_block_size = superblock.discard_block_size_sectors;
  found.policy_name = superblock.policy_name;
  found.policy_version = {superblock.policy_version.major, superblock.policy_version.minor,
                          superblock.policy_version.patch};
  found.policy_hint_size = superblock.policy_hint_size;
  found.stats = expected.stats;

  client::Stream<client::Mapping> mappings = client.ListMappings(name);
  for (const client::Mapping& mapping : mappings) {
    found.mappings[mapping.cblock] = {.oblock = mapping.oblock, .dirty = mapping.dirty};
  }
  if (!mappings.status().ok()) return mappings.status();

  found.discards.assign(superblock.discard_blocks, false);
  client::Stream<client::BlockRange> discards = client.ListDiscards(name);
  for (const client::BlockRange& range : discards) {
    for (uint64_t dblock = range.begin; dblock < range.end; ++dblock) found.discards.at(dblock) = true;
  }
  if (!discards.status().ok()) return discards.status();

  if (superblock.hint_root == 0) return found;
  // Hints of unmapped cblocks are not listed.
  found.hints = expected.hints;
  if (!found.hints.has_value()) found.hints.emplace(found.cache_blocks);
  for (const auto& [cblock, to] : found.mappings) found.hints->at(cblock) = ~uint32_t{0};
  client::Stream<client::Hint> hints = client.ListHints(name);
  for (const client::Hint& hint : hints) found.hints->at(hint.cblock) = hint.value;
  if (!hints.status().ok()) return hints.status();
  return found;
}

}  // namespace

client::DirtyTracking Caller::Tracking() const {
  return params_.dirty_tracking == DirtyTracking::kExact ? client::DirtyTracking::kExact
                                                         : client::DirtyTracking::kConservative;
}

void Caller::Create(client::Client& client) {
  const absl::StatusOr<client::Cache> cache =
      client.CreateCache({.name = name_,
                          .metadata_path = metadata_path_,
                          .data_block_size_sectors = static_cast<uint32_t>(params_.data_block_size.value()),
                          .cache_blocks = params_.cache_blocks,
                          .origin_size_sectors = params_.origin_size.value(),
                          .metadata_version = params_.version,
                          .policy_name = params_.policy_name,
                          .dirty_tracking = Tracking()});
  findings_.Expect(cache.ok(), cache.status().ToString());
}

void Caller::Open(client::Client& client, const CacheContents& medium) {
  model_.Reopen(medium, params_.dirty_tracking, /*assume_unclean=*/false, params_.origin_size);
  const absl::StatusOr<client::OpenResult> opened =
      client.OpenCache({.name = name_,
                        .metadata_path = metadata_path_,
                        .old_callers_gone = true,
                        .dirty_tracking = Tracking(),
                        .expected_block_size_sectors = static_cast<uint32_t>(params_.data_block_size.value()),
                        .origin_size_sectors = params_.origin_size.value()});
  findings_.Expect(opened.ok(), opened.status().ToString());
  if (!opened.ok()) return;
  findings_.Expect(opened->adopted == !medium.clean_shutdown,
                   opened->adopted ? "adopted although clean" : "not adopted although not clean");
  CompareWithModel(client);
}

void Caller::CompareWithModel(client::Client& client) {
  const absl::StatusOr<CacheContents> found = Ask(client, name_, model_.running());
  findings_.Compare(found.ok() ? Difference(*found, model_.running()) : found.status().ToString());
}

void Caller::Close(client::Client& client) {
  const absl::Status closed = client.CloseCache({.name = name_});
  findings_.Expect(closed.ok(), closed.ToString());
  model_.Prepare(/*clean=*/true);
  model_.Finish();
}

void Caller::Apply(client::Client& client, const Mutation& mutation) {
  client::MutationOptions options;
  options.durable = true;
  absl::Status status;
  if (const auto* resize = std::get_if<Resize>(&mutation)) {
    status = client.ResizeCache(name_, {.cache_blocks = resize->cache_blocks}, options).status();
  } else {
    status = client.Apply(name_, BatchOf(mutation).batch(), options).status();
  }
  findings_.Expect(status.ok(), status.ToString());
  ApplyToModel(mutation);
}

void Caller::ApplyToModel(const Mutation& mutation) {
  model_.Apply(mutation);
  model_.Prepare(/*clean=*/false);
  model_.Finish();
}

void Caller::MarkUntilUnanswered(client::Client& client, uint64_t seed, const std::function<void()>& on_answer) {
  constexpr size_t kAtOnce = 4;
  Random random(seed);
  std::vector<uint32_t> mapped;
  for (const auto& [cblock, to] : model_.running().mappings) mapped.push_back(cblock);
  client::MutationOptions options;
  options.durable = true;
  absl::Status status;
  while (status.ok()) {
    std::vector<uint32_t> cblocks;
    for (size_t i = 0; i < kAtOnce; ++i) cblocks.push_back(mapped[random.Below(mapped.size())]);
    marks_.push_back(cblocks);
    status = client.Apply(name_, client::MarkDirtyBatch{.cblocks = cblocks}, options).status();
    if (status.ok()) on_answer();
  }
}

void Caller::Settle(const CacheContents& image) {
  if (marks_.empty()) return;
  const std::vector<uint32_t> unanswered = marks_.back();
  marks_.pop_back();
  for (const std::vector<uint32_t>& cblocks : marks_) ApplyToModel(MarkDirty{.cblocks = cblocks});
  marks_.clear();
  CacheModel with = model_;
  with.Apply(MarkDirty{.cblocks = unanswered});
  with.Prepare(/*clean=*/false);
  with.Finish();
  if (image == with.durable()) model_ = std::move(with);
}

void Caller::ChangeAtRandom(client::Client& client, Random& random) {
  ResizeAtRandom(client, random);
  RemoveAtRandom(client, random);
  InsertAtRandom(client, random);
  MarkAtRandom(client, random);
  DiscardAtRandom(client, random);
  HintAtRandom(client, random);
}

void Caller::ResizeAtRandom(client::Client& client, Random& random) {
  auto blocks = static_cast<uint32_t>(random.Between(kMinCacheBlocks, kMaxCacheBlocks));
  for (const auto& [cblock, to] : model_.running().mappings) {
    if (to.dirty) blocks = std::max(blocks, cblock + 1);  // Dirty mappings are not cut off.
  }
  Apply(client, Resize{.cache_blocks = blocks, .origin_size = std::nullopt});
}

void Caller::RemoveAtRandom(client::Client& client, Random& random) {
  std::vector<uint32_t> cblocks;
  std::vector<uint64_t> oblocks;
  for (const auto& [cblock, to] : model_.running().mappings) {
    if (!random.OneIn(3)) continue;
    cblocks.push_back(cblock);
    oblocks.push_back(to.oblock);
  }
  if (cblocks.empty()) return;
  Apply(client,
        RemoveMappings{.cblocks = cblocks, .oblocks = oblocks, .oblock_range = std::nullopt, .discard_dirty = true});
}

void Caller::InsertAtRandom(client::Client& client, Random& random) {
  // Well below three quarters, from where on the smq policy frees blocks by itself.
  const size_t wanted = model_.running().cache_blocks * random.Between(25, 40) / 100;
  const size_t mapped = model_.running().mappings.size();
  if (mapped >= wanted) return;
  std::set<uint32_t> cblocks;
  std::set<uint64_t> oblocks;
  while (cblocks.size() < wanted - mapped) {
    const auto cblock = static_cast<uint32_t>(random.Below(model_.running().cache_blocks));
    if (model_.IsFree(cblock)) cblocks.insert(cblock);
  }
  while (oblocks.size() < cblocks.size()) {
    const uint64_t oblock = random.Below(kMappedOblocks);
    if (!model_.cblock_of().contains(oblock)) oblocks.insert(oblock);
  }
  const std::vector<uint32_t> cblock_column(cblocks.begin(), cblocks.end());
  std::vector<uint64_t> oblock_column(oblocks.begin(), oblocks.end());
  std::shuffle(oblock_column.begin(), oblock_column.end(), random.engine());
  const auto dirty = std::make_unique<bool[]>(cblocks.size());
  for (size_t i = 0; i < cblocks.size(); ++i) dirty[i] = random.OneIn(3);
  Apply(client, InsertMappings{.cblocks = cblock_column,
                               .oblocks = oblock_column,
                               .dirty = std::span<const bool>(dirty.get(), cblocks.size()),
                               .reservation = std::nullopt});
}

void Caller::MarkAtRandom(client::Client& client, Random& random) {
  std::vector<uint32_t> marked;
  std::vector<uint32_t> cleared;
  std::vector<uint64_t> cleared_oblocks;
  for (const auto& [cblock, to] : model_.running().mappings) {
    if (random.OneIn(6)) {
      marked.push_back(cblock);
    } else if (random.OneIn(3)) {
      cleared.push_back(cblock);
      cleared_oblocks.push_back(to.oblock);
    }
  }
  Apply(client, MarkDirty{.cblocks = marked});
  Apply(client, ClearDirty{.cblocks = cleared, .oblocks = cleared_oblocks});
}

void Caller::DiscardAtRandom(client::Client& client, Random& random) {
  std::vector<DblockRange> set;
  std::vector<DblockRange> cleared;
  const uint64_t dblocks = model_.running().discards.size();
  const uint64_t oblocks_per_dblock = model_.running().discard_block_size / model_.running().data_block_size;
  for (int i = 0; i < 16; ++i) {
    // Mostly where mappings are.
    const uint64_t begin = random.Below(random.OneIn(4) ? dblocks : kMappedOblocks / oblocks_per_dblock);
    const DblockRange range = {Dblock(begin), Dblock(std::min(dblocks, begin + random.Below(40)))};
    (random.OneIn(3) ? cleared : set).push_back(range);
  }
  // Right over dirty mappings too: those the kernel must not write back.
  Apply(client, SetDiscards{.ranges = set, .discard_dirty = true});
  Apply(client, ClearDiscards{.ranges = cleared});
}

void Caller::HintAtRandom(client::Client& client, Random& random) {
  // Of the policy that the kernel runs, or of one that it must not take them from.
  const bool foreign = random.OneIn(4);
  Apply(client, BeginHints{.policy_name = foreign ? "mq" : "smq",
                           .policy_version = {.major = 2, .minor = 0, .patch = 0},
                           .hint_size_bytes = 4});
  std::vector<uint32_t> cblocks;
  std::vector<uint32_t> hints;
  for (const auto& [cblock, to] : model_.running().mappings) {
    cblocks.push_back(cblock);
    hints.push_back(static_cast<uint32_t>(random.Below(64)));  // smq: a level of its queue.
  }
  Apply(client, SaveHints{.cblocks = cblocks, .hints = hints});
}

}  // namespace dmcached
