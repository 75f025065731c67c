#include "tests/interop/kernel/kernel_task.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"

namespace dmcached {
namespace {

constexpr std::array<uint32_t, 3> kSmqVersion = {2, 0, 0};

// Of the pairs whose values `a` tells apart, the share that `b` has the other way round: 0 if it keeps the order, about
// a half if it knows nothing of it.
double Disorder(const std::vector<uint32_t>& a, const std::vector<uint32_t>& b) {
  uint64_t told_apart = 0;
  uint64_t reversed = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a.size(); ++j) {
      if (a[i] >= a[j]) continue;
      ++told_apart;
      reversed += b[i] > b[j] ? 1 : 0;
    }
  }
  return told_apart == 0 ? 0 : static_cast<double>(reversed) / static_cast<double>(told_apart);
}

bool IsOneOf(const std::optional<Stamp>& found, const std::vector<Stamp>& allowed) {
  return found.has_value() && std::find(allowed.begin(), allowed.end(), *found) != allowed.end();
}

std::string Differs(const char* device, uint32_t block, const std::optional<Stamp>& found, const Stamp& expected) {
  return absl::StrCat(device, " block ", block, " holds ", ToText(found), ", expected ", ToText(expected));
}

}  // namespace

const char* ToText(KernelWork work) {
  const char* const names[kKernelWorks] = {"hold", "read", "clean", "write", "resize", "cut"};
  return names[static_cast<size_t>(work)];
}

KernelTask::KernelTask(KernelTaskParams params, DataDisks& disks, Random& random, Findings& findings)
    : params_(std::move(params)), disks_(disks), findings_(findings), cblock_of_(kOriginBlocks) {
  for (const auto& [cblock, to] : params_.before.mappings) cblock_of_.at(to.oblock) = cblock;
  ChooseSize(random);
  if (work() == KernelWork::kWrite || work() == KernelWork::kCut) ChooseWrites(random);
  FillDisks();
}

void KernelTask::ChooseSize(Random& random) {
  const CacheContents& before = params_.before;
  fast_blocks_ = before.cache_blocks;
  if (work() != KernelWork::kResize) return;
  const uint32_t end = before.mappings.empty() ? 1 : before.mappings.rbegin()->first + 1;
  if (random.OneIn(2) && end < before.cache_blocks) {
    fast_blocks_ = end;
  } else {
    fast_blocks_ = static_cast<uint32_t>(random.Between(before.cache_blocks + 1, kFastBlocks));
  }
}

void KernelTask::ChooseWrites(Random& random) {
  const bool cut = work() == KernelWork::kCut;
  for (int i = 0; i < 12; ++i) {
    const auto begin = static_cast<uint32_t>(random.Below(kOriginBlocks - 8));
    const BlockRun run = {
        .begin = begin, .count = static_cast<uint32_t>(random.Between(1, 6)), .synced = !cut || i < 6};
    // Each block is written once, so that what it may hold is known without knowing when the power went.
    const auto next = put_oblocks_.lower_bound(begin);
    if (next != put_oblocks_.end() && *next < begin + run.count) continue;
    for (uint32_t o = begin; o < begin + run.count; ++o) put_oblocks_.insert(o);
    puts_.push_back(run);
  }
  for (int i = 0; !cut && i < 4; ++i) {
    const auto begin = static_cast<uint32_t>(random.Below(kOriginBlocks - 40));
    drops_.push_back({.begin = begin, .count = static_cast<uint32_t>(random.Between(1, 40))});
  }
}

// Every block says what it is.  Where the kernel only reads or cleans, a mapped block differs from its origin block
// even if it is clean, so that a read tells which device it came from.  Where the kernel writes, a clean block is equal
// to its origin block, as the kernel may rely on.
void KernelTask::FillDisks() {
  const bool equal_if_clean = work() == KernelWork::kWrite || work() == KernelWork::kCut;
  auto stamp = [&](Stamp::Source source, uint32_t block) {
    return Stamp{.source = source, .cache = params_.cache, .round = params_.round, .block = block};
  };
  for (uint32_t o = 0; o < kOriginBlocks; ++o) origin_.push_back(stamp(Stamp::Source::kOrigin, o));
  for (uint32_t c = 0; c < kFastBlocks; ++c) fast_.push_back(stamp(Stamp::Source::kFast, c));
  for (const auto& [cblock, to] : params_.before.mappings) {
    if (equal_if_clean && !to.dirty) fast_[cblock] = origin_[to.oblock];
  }
  for (uint32_t o = 0; o < kOriginBlocks; ++o) disks_.origin.Write(params_.cache, o, origin_[o]);
  for (uint32_t c = 0; c < kFastBlocks; ++c) disks_.fast.Write(params_.cache, c, fast_[c]);
  for (const uint32_t o : put_oblocks_) {
    disks_.writes.Write(params_.cache, o, stamp(Stamp::Source::kWritten, o));
  }
}

std::string KernelTask::Script() const {
  const uint32_t k = params_.cache;
  std::string script;
  auto line = [&](const auto&... words) { absl::StrAppend(&script, words..., "\n"); };
  const uint64_t slice = kOriginBlocks * kDataBlockSectors;
  const uint64_t zeros = params_.origin_sectors - slice;
  line("slice f", k, " fast ", disks_.fast.FirstBlock(k) * kDataBlockSectors, " ", fast_blocks_ * kDataBlockSectors);
  line("slice o", k, " origin ", disks_.origin.FirstBlock(k) * kDataBlockSectors, " ", slice, " ",
       zeros == 0 ? "" : absl::StrCat(zeros));
  line("activate ", k, " ", params_.before.version,
       work() == KernelWork::kClean ? " cleaner 0" : " smq 2 migration_threshold 0");
  line("status ", k, " begin");
  if (work() == KernelWork::kClean) line("clean ", k);
  for (const BlockRun& run : puts_) {
    line("put ", k, " ", disks_.writes.FirstBlock(k), " ", run.begin, " ", run.count,
         work() == KernelWork::kCut && run.synced ? " fsync" : "");
  }
  for (const BlockRun& run : drops_) line("drop ", k, " ", run.begin, " ", run.count);
  if (work() == KernelWork::kCut) return script;
  if (work() != KernelWork::kHold) {
    constexpr uint64_t kBlocksPerMib = (1 << 20) / kDataBlockBytes;
    line("view ", k, " ", disks_.view.FirstBlock(k) / kBlocksPerMib, " ", kOriginBlocks / kBlocksPerMib);
  }
  line("deactivate ", k);
  return script;
}

void KernelTask::Compare(const CacheContents& after, const std::vector<std::string>& lines) {
  CompareStatus(after, lines);
  findings_.Compare(Difference(after, ExpectedContents(after)));
  if (work() == KernelWork::kHold) CompareHints(after);
  if (work() != KernelWork::kHold && work() != KernelWork::kCut) CompareView(after);
  if (work() == KernelWork::kWrite || work() == KernelWork::kCut) {
    CompareLogicalContents(after);
  } else {
    CompareDevices(after);
  }
}

void KernelTask::CompareStatus(const CacheContents& after, const std::vector<std::string>& lines) {
  auto dirty_in = [](const CacheContents& contents) {
    return std::count_if(contents.mappings.begin(), contents.mappings.end(),
                         [](const auto& mapping) { return mapping.second.dirty; });
  };
  auto compare = [&](const std::string& when, const CacheContents& contents, bool compare_dirty) {
    const std::optional<StatusLine> status = FindStatus(lines, params_.cache, when);
    findings_.Expect(status.has_value(), "no status line at the " + when);
    if (!status.has_value()) return;
    findings_.Expect(status->mapped == contents.mappings.size(),
                     absl::StrCat("at the ", when, " the kernel counts ", status->mapped, " mapped blocks of ",
                                  contents.mappings.size()));
    findings_.Expect(
        !compare_dirty || status->dirty == dirty_in(contents),
        absl::StrCat("at the ", when, " the kernel counts ", status->dirty, " dirty blocks of ", dirty_in(contents)));
    findings_.Expect(status->cache_blocks == fast_blocks_,
                     absl::StrCat("at the ", when, " the kernel has ", status->cache_blocks, " cache blocks"));
    findings_.Expect(status->writable && !status->needs_check, "the kernel does not trust the metadata at the " + when);
  };
  compare("begin", params_.before, work() != KernelWork::kClean);  // The cleaner begins at once.
  if (work() != KernelWork::kCut) compare("end", after, true);
}

std::vector<bool> KernelTask::ExpectedDiscards() const {
  std::vector<bool> discards = params_.before.discards;
  const uint64_t oblocks_per_dblock = params_.before.discard_block_size / kDataBlockSectors;
  for (const uint32_t o : put_oblocks_) discards.at(o / oblocks_per_dblock) = false;
  for (const BlockRun& run : drops_) {  // Only discard blocks that are covered whole.
    const uint64_t begin = (run.begin + oblocks_per_dblock - 1) / oblocks_per_dblock;
    const uint64_t end = (run.begin + run.count) / oblocks_per_dblock;
    for (uint64_t d = begin; d < end; ++d) discards.at(d) = true;
  }
  return discards;
}

bool KernelTask::IsWorthless(uint64_t oblock) const {
  const bool dropped = std::any_of(drops_.begin(), drops_.end(), [&](const BlockRun& run) {
    return oblock >= run.begin && oblock < run.begin + run.count;
  });
  return dropped || (params_.before.discards.at(oblock * kDataBlockSectors / params_.before.discard_block_size) &&
                     !put_oblocks_.contains(static_cast<uint32_t>(oblock)));
}

std::map<uint32_t, uint64_t> KernelTask::PromotedTo(const CacheContents& after) const {
  std::map<uint32_t, uint64_t> promoted;
  if (work() == KernelWork::kHold || work() == KernelWork::kClean) return promoted;
  for (const auto& [cblock, to] : after.mappings) {
    if (to.oblock < kOriginBlocks && !cblock_of_[to.oblock].has_value()) promoted[cblock] = to.oblock;
  }
  return promoted;
}

// What cannot be known before is taken from what is there: statistics and hints; after a power cut also what the clean
// flag says not to trust.
CacheContents KernelTask::ExpectedContents(const CacheContents& after) const {
  CacheContents expected = params_.before;
  expected.cache_blocks = fast_blocks_;
  expected.discards = ExpectedDiscards();
  expected.clean_shutdown = true;
  expected.policy_name = work() == KernelWork::kClean ? "cleaner" : "smq";
  expected.policy_version = kSmqVersion;
  expected.policy_hint_size = 4;
  expected.hints = after.hints;
  expected.stats = after.stats;
  for (auto& [cblock, to] : expected.mappings) {
    if (work() == KernelWork::kClean) to.dirty = false;
    if (put_oblocks_.contains(static_cast<uint32_t>(to.oblock))) to.dirty = true;
  }
  // The policy may give cache blocks to origin blocks that are written whole or lie where much is read.
  for (const auto& [cblock, oblock] : PromotedTo(after)) {
    bool dirty = put_oblocks_.contains(static_cast<uint32_t>(oblock));
    if (IsWorthless(oblock)) {  // Nothing is copied; the block becomes dirty and is no longer discarded.
      dirty = after.mappings.at(cblock).dirty;
      const uint64_t dblock = oblock * kDataBlockSectors / params_.before.discard_block_size;
      expected.discards.at(dblock) = after.discards.at(dblock);
    }
    expected.mappings.try_emplace(cblock, MappedTo{.oblock = oblock, .dirty = dirty});
  }
  if (work() != KernelWork::kCut) return expected;
  expected.clean_shutdown = false;
  expected.discards = after.discards;
  expected.policy_name = after.policy_name;
  expected.policy_version = after.policy_version;
  expected.policy_hint_size = after.policy_hint_size;
  for (auto& [cblock, to] : expected.mappings) {
    const auto at = after.mappings.find(cblock);
    if (at != after.mappings.end()) to.dirty = at->second.dirty;
  }
  return expected;
}

// A hint of smq is the level of its queues that a block is put on; at deactivation the level is the next hint.  The
// policy evens its levels out meanwhile, which nearly keeps their order: up to a tenth of the pairs was seen reversed.
// Without valid hints it chooses levels by a hash.
void KernelTask::CompareHints(const CacheContents& after) {
  const CacheContents& before = params_.before;
  const bool valid = before.clean_shutdown && before.hints.has_value() && before.policy_name == "smq" &&
                     before.policy_version[0] == kSmqVersion[0] && before.policy_hint_size == 4;
  const bool has_hints = after.hints.has_value() && after.hints->size() >= before.cache_blocks;
  findings_.Expect(has_hints, "the kernel has left no hints");
  if (!before.hints.has_value() || !has_hints || before.mappings.size() < 50) return;
  std::vector<uint32_t> given;
  std::vector<uint32_t> left;
  for (const auto& [cblock, to] : before.mappings) {
    given.push_back((*before.hints)[cblock]);
    left.push_back((*after.hints)[cblock]);
  }
  const double disorder = Disorder(given, left);
  findings_.Expect(valid ? disorder < 0.25 : disorder > 0.3,
                   absl::StrCat("hints that are ", valid ? "" : "not ", "valid have this disorder: ", disorder));
}

std::vector<KernelTask::Allowed> KernelTask::AllowedContents(const CacheContents& after) const {
  std::vector<Allowed> allowed;
  for (uint32_t o = 0; o < kOriginBlocks; ++o) {
    allowed.push_back({cblock_of_[o].has_value() ? fast_[*cblock_of_[o]] : origin_[o]});
  }
  for (const BlockRun& run : puts_) {
    for (uint32_t o = run.begin; o < run.begin + run.count; ++o) {
      const Stamp written = {
          .source = Stamp::Source::kWritten, .cache = params_.cache, .round = params_.round, .block = o};
      if (run.synced) allowed[o].clear();
      allowed[o].insert(allowed[o].begin(), written);
    }
  }
  for (const auto& [cblock, oblock] : PromotedTo(after)) {
    if (IsWorthless(oblock)) allowed[oblock].push_back(fast_[cblock]);
  }
  return allowed;
}

void KernelTask::CompareView(const CacheContents& after) {
  const std::vector<Allowed> allowed = AllowedContents(after);
  for (uint32_t o = 0; o < kOriginBlocks; ++o) {
    const std::optional<Stamp> found = disks_.view.Read(params_.cache, o);
    findings_.CompareBlock(IsOneOf(found, allowed[o]), Differs("through the cache", o, found, allowed[o][0]));
  }
}

void KernelTask::CompareDevices(const CacheContents& after) {
  std::vector<Stamp> origin = origin_;
  std::vector<Allowed> fast;
  for (const Stamp& stamp : fast_) fast.push_back({stamp});
  for (const auto& [cblock, oblock] : PromotedTo(after)) {
    // Worthless contents may have been copied all the same: the first write into a discard block ends its being one.
    if (!IsWorthless(oblock)) fast[cblock].clear();
    fast[cblock].push_back(origin_[oblock]);
  }
  const std::vector<bool>& discards = params_.before.discards;
  const uint64_t oblocks_per_dblock = params_.before.discard_block_size / kDataBlockSectors;
  for (const auto& [cblock, to] : params_.before.mappings) {
    if (work() == KernelWork::kClean && to.dirty && !discards.at(to.oblock / oblocks_per_dblock)) {
      origin[to.oblock] = fast_[cblock];
    }
  }
  for (uint32_t o = 0; o < kOriginBlocks; ++o) {
    const std::optional<Stamp> found = disks_.origin.Read(params_.cache, o);
    findings_.CompareBlock(found == origin[o], Differs("origin", o, found, origin[o]));
  }
  for (uint32_t c = 0; c < kFastBlocks; ++c) {
    const std::optional<Stamp> found = disks_.fast.Read(params_.cache, c);
    findings_.CompareBlock(IsOneOf(found, fast[c]), Differs("fast", c, found, fast[c][0]));
  }
}

// What a reader who follows the metadata finds.
void KernelTask::CompareLogicalContents(const CacheContents& after) {
  std::vector<std::optional<uint32_t>> cblock_of(kOriginBlocks);
  for (const auto& [cblock, to] : after.mappings) {
    // Others are reported as a difference of the metadata.
    if (to.oblock < kOriginBlocks) cblock_of[to.oblock] = cblock;
  }
  const std::vector<Allowed> allowed = AllowedContents(after);
  for (uint32_t o = 0; o < kOriginBlocks; ++o) {
    const std::optional<Stamp> found = cblock_of[o].has_value() ? disks_.fast.Read(params_.cache, *cblock_of[o])
                                                                : disks_.origin.Read(params_.cache, o);
    findings_.CompareBlock(IsOneOf(found, allowed[o]), Differs("by the metadata", o, found, allowed[o][0]));
  }
}

}  // namespace dmcached
