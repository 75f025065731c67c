#include "tests/bench/served_store.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"
#include "core/cache/geometry.h"
#include "core/device/file_device.h"
#include "core/format/layout.h"
#include "tests/bench/scattered.h"

namespace dmcached::bench {
namespace {

constexpr uint64_t kBlockSectors = 128;

// Runs `begin(callback)` and waits for what it calls back with; gives up on an error.
template <typename Value, typename Begin>
Value Await(const char* what, Begin begin) {
  absl::Notification answered;
  std::optional<absl::StatusOr<Value>> answer;
  begin([&](absl::StatusOr<Value> result) {
    answer = std::move(result);
    answered.Notify();
  });
  answered.WaitForNotification();
  if (!answer->ok()) GiveUp(std::string(what) + ": " + answer->status().ToString());
  return **std::move(answer);
}

}  // namespace

std::string NewServedFile(Run& run, uint32_t version, uint32_t cblocks) {
  const uint64_t dblocks =
      ChooseDiscardGeometry(Sectors(uint64_t{cblocks} * 2 * kBlockSectors), Sectors(kBlockSectors)).blocks;
  const uint64_t live = LiveMetadataBlocks(version, cblocks, dblocks, /*hints=*/false, 4096);
  return run.NewFile("metadata", 4 * live * kMetadataBlockBytes);
}

ServedStore::ServedStore(const std::string& path, uint32_t version, uint32_t cblocks, EngineOptions options)
    : cblocks_(cblocks) {
  const auto opener = [this](const DeviceRequest& request) { return OpenFileDevice(request, &clock_); };
  engine_ = std::make_unique<Engine>(options, opener, clock_, executors_, readers_);
  CreateOptions create;
  create.name = kName;
  create.metadata_path = path;
  create.data_block_size = Sectors(kBlockSectors);
  create.cache_blocks = cblocks;
  create.origin_size = Sectors(uint64_t{cblocks} * 2 * kBlockSectors);
  create.version = version;
  Await<CacheInfo>("create", [&](auto done) { engine_->Create(std::move(create), std::move(done)); });
  ApplyToAll([](Cblocks from, Oblocks to) {
    return InsertMappings{.cblocks = from, .oblocks = to, .dirty = {}, .reservation = {}};
  });
}

ServedStore::~ServedStore() {
  absl::Notification closed;
  engine_->Shutdown([&](const absl::Status& status) {
    if (!status.ok()) GiveUp("shutdown: " + status.ToString());
    closed.Notify();
  });
  closed.WaitForNotification();
}

uint64_t ServedStore::OblockOf(uint32_t cblock, uint32_t cblocks) {
  return Scattered(cblock, 2 * uint64_t{cblocks} - 1);  // Of twice as many oblocks.
}

// In order, `make(cblocks, oblocks)` for all mappings; the last one is waited for.
void ServedStore::ApplyToAll(const std::function<Mutation(Cblocks, Oblocks)>& make) {
  for (uint32_t begin = 0; begin < cblocks_; begin += kMaxItemsPerRequest) {
    const uint32_t end = static_cast<uint32_t>(std::min<uint64_t>(cblocks_, uint64_t{begin} + kMaxItemsPerRequest));
    std::vector<uint32_t> cblocks(end - begin);
    std::iota(cblocks.begin(), cblocks.end(), begin);
    std::vector<uint64_t> oblocks;
    for (const uint32_t cblock : cblocks) oblocks.push_back(OblockOf(cblock, cblocks_));
    Apply(make(cblocks, oblocks), end == cblocks_);
  }
}

MutationResult ServedStore::Apply(const Mutation& mutation, bool durable) {
  return Await<MutationResult>("apply", [&](auto done) {
    Conditions conditions;
    conditions.durable = durable;
    conditions.answer_when_applied = !durable;
    engine_->Apply(kName, mutation, std::move(conditions), std::move(done));
  });
}

void ServedStore::ApplyDurably(Mutation mutation, std::function<void()> done) {
  Conditions conditions;
  conditions.durable = true;
  engine_->Apply(kName, std::move(mutation), std::move(conditions),
                 [done = std::move(done)](const absl::StatusOr<MutationResult>& result) {
                   if (!result.ok()) GiveUp("apply: " + result.status().ToString());
                   done();
                 });
}

LookupResult ServedStore::Lookup(const LookupRequest& request) {
  return Await<LookupResult>("look up", [&](auto done) { engine_->Lookup(kName, request, std::move(done)); });
}

void ServedStore::MarkDurably(std::span<const uint32_t> cblocks) { Apply(MarkDirty{cblocks}, /*durable=*/true); }

void ServedStore::ClearAll() {
  ApplyToAll([](Cblocks cblocks, Oblocks oblocks) { return ClearDirty{cblocks, oblocks}; });
}

uint64_t ServedStore::written_bytes() const {
  return engine_->Metrics().front().devices.at("metadata")->op(DeviceOp::kWrite).bytes.load(std::memory_order_relaxed);
}

}  // namespace dmcached::bench
