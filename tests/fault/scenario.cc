#include "tests/fault/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <variant>

#include "absl/strings/str_join.h"
#include "tests/support/alarms.h"
#include "tests/support/device_handle.h"
#include "tests/support/image_walker.h"

namespace dmcached {
namespace {

constexpr uint32_t kCacheBlocks = 1100;
constexpr uint32_t kGrown = 2300;
constexpr int kMostRecoveries = 20;
constexpr std::array<bool, kGrown> kAllFalse{};

constexpr std::array<bool, kGrown> MakeAllTrue() {
  std::array<bool, kGrown> all{};
  for (bool& one : all) one = true;
  return all;
}
constexpr std::array<bool, kGrown> kAllTrue = MakeAllTrue();

// As far as there can be a promise about it.
absl::StatusOr<CacheContents> ContentsOf(CacheSnapshot& snapshot) {
  CacheContents found;
  found.cache_blocks = snapshot.superblock().cache_blocks;
  found.policy_name = snapshot.superblock().policy_name;
  found.policy_version = snapshot.superblock().policy_version;
  DMCACHED_ASSIGN_OR_RETURN(const MappingPage mappings, snapshot.ReadMappings({}, Cblock(0), kGrown));
  for (size_t i = 0; i < mappings.cblocks.size(); ++i) {
    found.mappings[mappings.cblocks[i]] = {mappings.oblocks[i], mappings.dirty[i] != 0};
  }
  DMCACHED_ASSIGN_OR_RETURN(const DiscardPage discards, snapshot.ReadDiscards(Dblock(0), kGrown));
  found.discards.resize(snapshot.superblock().discard_blocks);
  for (size_t i = 0; i < discards.begins.size(); ++i) {
    for (uint64_t dblock = discards.begins[i]; dblock < discards.ends[i]; ++dblock) found.discards[dblock] = true;
  }
  return found;
}

}  // namespace

Scenario::Scenario(BlockDevice& device, uint32_t version, DirtyTracking tracking)
    : Scenario([&device](const DeviceRequest&) { return std::make_unique<DeviceHandle>(device); }, version, tracking) {}

Scenario::Scenario(DeviceOpener opener, uint32_t version, DirtyTracking tracking)
    : version_(version),
      tracking_(tracking),
      cblocks_(kGrown),
      oblocks_(kGrown),
      promises_(kCacheBlocks, {"smq"}),
      promised_at_snapshot_(promises_) {
  std::iota(cblocks_.begin(), cblocks_.end(), 0);
  std::iota(oblocks_.begin(), oblocks_.end(), Promises::kOblockOffset);
  EngineOptions options;
  options.recover_interval = Duration{0};
  options.block_cache_bytes = 8 * kMetadataBlockBytes;  // So that blocks are read again.
  engine_ = std::make_unique<Engine>(options, std::move(opener), clock_, executors_, executors_.readers());
}

Scenario::~Scenario() {
  engine_.reset();
  executors_.RunUntilIdle();
}

const absl::Status& Scenario::Judge(const absl::Status& status) {
  if (status.ok()) return status;
  const std::optional<Reason> reason = ReasonOf(status);
  if (!reason.has_value() || status.message().empty()) unclear_.push_back(status.ToString());
  reasons_.push_back(reason.value_or(Reason::kInvalidRequest));
  return status;
}

std::span<const uint32_t> Scenario::Cblocks(uint32_t begin, uint32_t end) {
  return std::span(cblocks_).subspan(begin, end - begin);
}

std::span<const uint64_t> Scenario::Oblocks(uint32_t begin, uint32_t end) {
  return std::span(oblocks_).subspan(begin, end - begin);
}

bool Scenario::Create() {
  CreateOptions create;
  create.name = "c";
  create.metadata_path = "/meta";
  create.data_block_size = Sectors(64);
  create.cache_blocks = kCacheBlocks;
  create.origin_size = Sectors(uint64_t{64} * 20000);
  create.version = version_;
  create.policy_name = "smq";
  create.force = true;
  create.dirty_tracking = tracking_;
  absl::Status created = absl::UnknownError("not answered");
  engine_->Create(create, [&](const absl::StatusOr<CacheInfo>& info) { created = info.status(); });
  executors_.RunUntilIdle();
  created_ = Judge(created).ok();
  return created_;
}

absl::Status Scenario::Open(bool recover, bool assume_unclean) {
  OpenOptions open;
  open.name = "c";
  open.metadata_path = "/meta";
  open.recover = recover;
  open.assume_unclean = assume_unclean;
  open.dirty_tracking = tracking_;
  absl::Status opened = absl::UnknownError("not answered");
  engine_->Open(open, [&](const absl::StatusOr<OpenResult>& result) { opened = result.status(); });
  executors_.RunUntilIdle();
  return Judge(opened);
}

absl::Status Scenario::Close(bool discard) {
  CloseOptions close;
  close.discard_uncommitted = discard;
  absl::Status closed = absl::UnknownError("not answered");
  engine_->Close("c", close, [&](absl::Status status) { closed = std::move(status); });
  executors_.RunUntilIdle();
  engine_->Tick();
  if (closed.ok() && !discard) promises_.Committed();
  promises_.Lost();
  return Judge(closed);
}

absl::Status Scenario::OpenAgain() {
  if (engine_->Get("c").ok()) {
    if (absl::Status closed = Close(/*discard=*/true); !closed.ok()) return closed;
  }
  if (absl::Status opened = Open(/*recover=*/false, /*assume_unclean=*/false); !opened.ok()) return opened;
  return Close(/*discard=*/false);
}

void Scenario::Heal() {
  for (int i = 0; i < kMostRecoveries; ++i) {
    const absl::StatusOr<CacheInfo> info = engine_->Get("c");
    if (!info.ok() || info->state != CacheState::kFailed) return;
    ++recoveries_;
    promises_.Lost();
    // Without an error nothing was lost that the next request could need.
    if (!Open(/*recover=*/true, /*assume_unclean=*/false).ok()) continue;
  }
}

absl::Status Scenario::Apply(Mutation mutation) {
  Conditions conditions;
  // The answer to any other one is durable by itself, or promises nothing; in CONSERVATIVE clean ones may be lost.
  conditions.durable = tracking_ == DirtyTracking::kExact && std::holds_alternative<InsertMappings>(mutation);
  absl::Status applied = absl::UnknownError("not answered");
  engine_->Apply("c", std::move(mutation), conditions,
                 [&](const absl::StatusOr<MutationResult>& result) { applied = result.status(); });
  executors_.RunUntilIdle();
  applied = Judge(applied);
  Heal();
  return applied;
}

void Scenario::Insert(uint32_t begin, uint32_t end, bool dirty) {
  InsertMappings insert;
  insert.cblocks = Cblocks(begin, end);
  insert.oblocks = Oblocks(begin, end);
  insert.dirty = std::span<const bool>(dirty ? kAllTrue : kAllFalse).first(end - begin);
  promises_.Inserting(begin, end);
  const bool durable = dirty || tracking_ == DirtyTracking::kExact;
  const uint64_t recoveries = recoveries_;
  if (!Apply(insert).ok()) return;
  // Answered when applied, and then the cache failed: nobody knows.
  if (durable || recoveries_ == recoveries) promises_.Inserted(begin, end, dirty, durable);
}

void Scenario::Mark(uint32_t begin, uint32_t end) {
  MarkDirty mark;
  mark.cblocks = Cblocks(begin, end);
  if (Apply(mark).ok()) promises_.Marked(begin, end);
}

void Scenario::Remove(uint32_t begin, uint32_t end) {
  RemoveMappings remove;
  remove.cblocks = Cblocks(begin, end);
  remove.oblocks = Oblocks(begin, end);
  remove.discard_dirty = true;
  promises_.Removing(begin, end);
  if (Apply(remove).ok()) promises_.Removed(begin, end);
}

void Scenario::Discard(uint64_t begin, uint64_t end) {
  const std::array<DblockRange, 1> ranges = {{{Dblock(begin), Dblock(end)}}};
  promises_.SettingDiscards(begin, end);
  Apply(SetDiscards{.ranges = ranges, .discard_dirty = false}).IgnoreError();
}

void Scenario::ClearDiscard(uint64_t begin, uint64_t end) {
  const std::array<DblockRange, 1> ranges = {{{Dblock(begin), Dblock(end)}}};
  if (Apply(ClearDiscards{.ranges = ranges}).ok()) promises_.ClearedDiscards(begin, end);
}

void Scenario::ChangeHints() {
  const Promises::Policy policy = {"mq", {1, 2, 3}};
  promises_.BeginningHints(policy);
  const BeginHints begin{.policy_name = policy.name, .policy_version = {1, 2, 3}, .hint_size_bytes = 4};
  if (Apply(begin).ok()) promises_.BegunHints(policy);
  SaveHints hints;
  hints.cblocks = Cblocks(0, 30);
  hints.hints = Cblocks(0, 30);
  Apply(hints).IgnoreError();
  Apply(SetStats{.stats = {1, 2, 3, 4}}).IgnoreError();
}

void Scenario::Grow() {
  Resize grow;
  grow.cache_blocks = kGrown;
  promises_.Resizing(kGrown);
  if (Apply(grow).ok()) promises_.Resized(kGrown);
}

void Scenario::TakeSnapshot() {
  absl::StatusOr<std::shared_ptr<CacheSnapshot>> taken = absl::UnknownError("not answered");
  engine_->TakeSnapshot("c",
                        [&](absl::StatusOr<std::shared_ptr<CacheSnapshot>> snapshot) { taken = std::move(snapshot); });
  executors_.RunUntilIdle();
  Heal();
  if (!Judge(taken.status()).ok()) return;
  snapshot_ = *std::move(taken);
  promises_.Committed();
  promised_at_snapshot_ = promises_;
}

void Scenario::ReadSnapshot() {
  const std::shared_ptr<CacheSnapshot> snapshot = std::move(snapshot_);
  if (snapshot == nullptr) return;
  const absl::StatusOr<CacheContents> found = ContentsOf(*snapshot);
  if (!Judge(found.status()).ok()) return;
  snapshot_is_whole_ = snapshot_is_whole_ && promised_at_snapshot_.Broken(*found, /*all_dirty=*/false).empty();
}

void Scenario::Adopt() {
  if (engine_->Get("c").ok()) return;
  for (int i = 0; i < 2; ++i) {
    if (!Open(/*recover=*/false, /*assume_unclean=*/true).ok()) continue;
    promises_.Adopted();
    return;
  }
}

void Scenario::LookUpAll() {
  absl::Status found = absl::UnknownError("not answered");
  LookupRequest request;
  request.cblocks = Cblocks(0, kCacheBlocks);
  engine_->Lookup("c", request, [&](const absl::StatusOr<LookupResult>& result) { found = result.status(); });
  executors_.RunUntilIdle();
  Judge(found).IgnoreError();
}

void Scenario::Commit() {
  absl::Status committed = absl::UnknownError("not answered");
  engine_->Commit("c", true, [&](const absl::StatusOr<MutationResult>& result) { committed = result.status(); });
  executors_.RunUntilIdle();
  if (Judge(committed).ok()) promises_.Committed();
  Heal();
}

void Scenario::Run() {
  if (!Create() && !Create()) return;
  Insert(0, 10, /*dirty=*/true);
  Insert(600, 640, /*dirty=*/false);
  Mark(600, 610);
  TakeSnapshot();
  Discard(2, 25);
  ChangeHints();
  ClearDiscard(2, 9);
  Grow();
  Remove(5, 8);
  ReadSnapshot();
  // An adoption hides from who looks later what became of the discards.
  TakeSnapshot();
  ReadSnapshot();
  LookUpAll();
  Commit();
  if (!Close(/*discard=*/false).ok()) Heal();
  Adopt();
  Heal();
  Mark(610, 620);
  Insert(1000, 1020, /*dirty=*/true);
  Insert(650, 660, /*dirty=*/false);
  LookUpAll();
  if (!Close(/*discard=*/false).ok()) Heal();
}

void Scenario::ExpectReasons(std::set<Reason> of_the_fault) const {
  if (reasons_.empty()) return;
  EXPECT_TRUE(of_the_fault.contains(reasons_.front())) << "the first error is " << ReasonName(reasons_.front());
  // What a request answers that builds on one that was not done.
  of_the_fault.insert({Reason::kCacheFailed, Reason::kCacheNotOpen, Reason::kCacheExists, Reason::kNotMapped,
                       Reason::kNoHints, Reason::kSnapshotRevoked});
  for (const Reason reason : reasons_) EXPECT_TRUE(of_the_fault.contains(reason)) << ReasonName(reason);
}

void Scenario::ExpectHolds(std::span<const std::byte> image) const {
  const WalkedImage walked = WalkImage(image);
  ASSERT_EQ(walked.Faults(), "");
  ASSERT_EQ(Alarms(image).ToString(), "");
  // Unclean metadata is dirty as a whole to whoever opens it: that is all that CONSERVATIVE leaves behind.
  const bool all_dirty = tracking_ == DirtyTracking::kConservative && !walked.contents.clean_shutdown;
  EXPECT_TRUE(snapshot_is_whole_) << "the snapshot that was read is not of the moment when it was taken";
  ASSERT_EQ(absl::StrJoin(promises_.Broken(walked.contents, all_dirty), "; "), "");
}

}  // namespace dmcached
