#include "tests/fault/scenario.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "core/base/status.h"
#include "tests/support/device_handle.h"
#include "tests/support/image_walker.h"

namespace dmcached {
namespace {

constexpr uint32_t kCacheBlocks = 1100;
constexpr uint32_t kGrown = 2300;
constexpr uint64_t kOblockOffset = 1000;
constexpr int kMostRecoveries = 20;
constexpr std::array<bool, kGrown> kAllFalse{};

constexpr std::array<bool, kGrown> MakeAllTrue() {
  std::array<bool, kGrown> all{};
  for (bool& one : all) one = true;
  return all;
}
constexpr std::array<bool, kGrown> kAllTrue = MakeAllTrue();

}  // namespace

Scenario::Scenario(BlockDevice& device, uint32_t version, DirtyTracking tracking)
    : Scenario([&device](const DeviceRequest&) { return std::make_unique<DeviceHandle>(device); }, version, tracking) {}

Scenario::Scenario(DeviceOpener opener, uint32_t version, DirtyTracking tracking)
    : version_(version), tracking_(tracking), cblocks_(kGrown), oblocks_(kGrown) {
  std::iota(cblocks_.begin(), cblocks_.end(), 0);
  std::iota(oblocks_.begin(), oblocks_.end(), kOblockOffset);
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
  ++errors_;
  if (!ReasonOf(status).has_value() || status.message().empty()) unclear_.push_back(status.ToString());
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

absl::Status Scenario::Open(bool recover) {
  OpenOptions open;
  open.name = "c";
  open.metadata_path = "/meta";
  open.recover = recover;
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
  return Judge(closed);
}

absl::Status Scenario::OpenAgain() {
  if (engine_->Get("c").ok()) {
    if (absl::Status closed = Close(/*discard=*/true); !closed.ok()) return closed;
  }
  if (absl::Status opened = Open(/*recover=*/false); !opened.ok()) return opened;
  return Close(/*discard=*/false);
}

void Scenario::Heal() {
  for (int i = 0; i < kMostRecoveries; ++i) {
    const absl::StatusOr<CacheInfo> info = engine_->Get("c");
    if (!info.ok() || info->state != CacheState::kFailed) return;
    ++recoveries_;
    // Without an error nothing was lost that the next request could need.
    if (!Open(/*recover=*/true).ok()) continue;
  }
}

absl::Status Scenario::Apply(Mutation mutation) {
  Conditions conditions;
  // CONSERVATIVE promises something for an answer that waits for nothing, too.
  conditions.durable = tracking_ == DirtyTracking::kExact;
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
  if (!Apply(insert).ok() || !dirty) return;
  for (uint32_t cblock = begin; cblock < end; ++cblock) dirty_.insert(cblock);
}

void Scenario::Mark(uint32_t begin, uint32_t end) {
  MarkDirty mark;
  mark.cblocks = Cblocks(begin, end);
  if (!Apply(mark).ok()) return;
  for (uint32_t cblock = begin; cblock < end; ++cblock) dirty_.insert(cblock);
}

void Scenario::Remove(uint32_t begin, uint32_t end) {
  for (uint32_t cblock = begin; cblock < end; ++cblock) dirty_.erase(cblock);
  RemoveMappings remove;
  remove.cblocks = Cblocks(begin, end);
  remove.oblocks = Oblocks(begin, end);
  remove.discard_dirty = true;
  Apply(remove).IgnoreError();
}

void Scenario::ChangeRest() {
  const std::array<DblockRange, 1> ranges = {{{Dblock(2), Dblock(9)}}};
  Apply(SetDiscards{.ranges = ranges, .discard_dirty = false}).IgnoreError();
  Apply(BeginHints{.policy_name = "mq", .policy_version = {1, 2, 3}, .hint_size_bytes = 4}).IgnoreError();
  SaveHints hints;
  hints.cblocks = Cblocks(0, 30);
  hints.hints = Cblocks(0, 30);
  Apply(hints).IgnoreError();
  Apply(ClearDiscards{.ranges = ranges}).IgnoreError();
  Apply(SetStats{.stats = {1, 2, 3, 4}}).IgnoreError();
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
  Judge(committed).IgnoreError();
  Heal();
}

void Scenario::Run() {
  if (!Create() && !Create()) return;
  Insert(0, 10, /*dirty=*/true);
  Insert(600, 640, /*dirty=*/false);
  Mark(600, 610);
  ChangeRest();
  Resize grow;
  grow.cache_blocks = kGrown;
  Apply(grow).IgnoreError();
  Remove(5, 8);
  LookUpAll();
  Commit();
  if (!Close(/*discard=*/false).ok()) Heal();
  if (!engine_->Get("c").ok() && !Open(/*recover=*/false).ok()) Open(/*recover=*/false).IgnoreError();
  Heal();
  Mark(610, 620);
  Insert(1000, 1020, /*dirty=*/true);
  LookUpAll();
  if (!Close(/*discard=*/false).ok()) Heal();
}

void Scenario::ExpectHolds(std::span<const std::byte> image) const {
  const WalkedImage walked = WalkImage(image);
  ASSERT_EQ(walked.Faults(), "");
  // Unclean metadata is dirty as a whole to whoever opens it: that is all that CONSERVATIVE leaves behind.
  const bool all_dirty = tracking_ == DirtyTracking::kConservative && !walked.contents.clean_shutdown;
  for (const uint32_t cblock : dirty_) {
    const auto found = walked.contents.mappings.find(cblock);
    ASSERT_TRUE(found != walked.contents.mappings.end()) << "acknowledged cblock " << cblock << " is lost";
    ASSERT_TRUE(all_dirty || found->second.dirty) << "acknowledged cblock " << cblock << " is clean";
  }
}

}  // namespace dmcached
