#include "tests/core/cache/engine_fixture.h"

#include "core/base/status.h"

namespace dmcached {

// Forwards to a device of the bank; unlocks it at the end.
class DeviceBank::Handle : public BlockDevice {
 public:
  Handle(DeviceBank& bank, std::string path, std::shared_ptr<FaultyDevice> device, bool read_only, bool locked)
      : BlockDevice(std::move(path), nullptr),
        bank_(bank),
        device_(std::move(device)),
        read_only_(read_only),
        locked_(locked) {}
  ~Handle() override {
    if (!locked_) return;
    MutexLock lock(bank_.mutex_);
    --bank_.locks_[name()];
  }

  uint64_t size_bytes() const override { return device_->size_bytes(); }
  size_t alignment_bytes() const override { return device_->alignment_bytes(); }
  bool direct_io() const override { return true; }
  bool read_only() const override { return read_only_; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    return device_->ReadV(offset_bytes, buffers);
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    return device_->WriteV(offset_bytes, buffers);
  }
  absl::Status DoFlush() override { return device_->Flush(); }

 private:
  DeviceBank& bank_;
  const std::shared_ptr<FaultyDevice> device_;
  const bool read_only_;
  const bool locked_;
};

FaultyDevice& DeviceBank::Add(const std::string& path, uint64_t size_bytes) {
  MutexLock lock(mutex_);
  devices_[path] = std::make_shared<FaultyDevice>(size_bytes);
  return *devices_[path];
}

FaultyDevice& DeviceBank::Replace(const std::string& path, std::span<const std::byte> image) {
  MutexLock lock(mutex_);
  devices_[path] = std::make_shared<FaultyDevice>(image);
  return *devices_[path];
}

FaultyDevice& DeviceBank::at(const std::string& path) {
  MutexLock lock(mutex_);
  return *devices_.at(path);
}

bool DeviceBank::is_locked(const std::string& path) const {
  MutexLock lock(mutex_);
  const auto found = locks_.find(path);
  return found != locks_.end() && found->second != 0;
}

int DeviceBank::allocations() const {
  MutexLock lock(mutex_);
  return allocations_;
}

DeviceOpener DeviceBank::opener() {
  return [this](const DeviceRequest& request) { return Open(request); };
}

absl::StatusOr<std::unique_ptr<BlockDevice>> DeviceBank::Open(const DeviceRequest& request) {
  MutexLock lock(mutex_);
  const auto found = devices_.find(request.path);
  if (found == devices_.end()) return MakeError(Reason::kDeviceNotFound, request.path);
  if (request.exclusive && locks_[request.path]++ != 0) {
    --locks_[request.path];
    return MakeError(Reason::kDeviceInUse, request.path);
  }
  if (request.allocate) ++allocations_;
  return std::unique_ptr<BlockDevice>(
      new Handle(*this, request.path, found->second, request.read_only, request.exclusive));
}

EngineTest::EngineTest(EngineOptions options, std::optional<uint64_t> seed) : executors_(seed), options_(options) {
  bank_.Add("/meta", kMetadataBytes);
  Start();
}

EngineTest::~EngineTest() { Kill(); }

void EngineTest::Kill() {
  engine_.reset();
  Run();
}

void EngineTest::Start() {
  ++options_.seed;
  engine_ = std::make_unique<Engine>(options_, bank_.opener(), clock_, executors_, executors_.readers());
}

absl::StatusOr<CacheInfo> EngineTest::Create(uint32_t blocks, DirtyTracking tracking,
                                             const std::function<void(CreateOptions&)>& change) {
  CreateOptions options{.name = "c", .metadata_path = "/meta", .data_block_size = Sectors(128)};
  options.cache_blocks = blocks;
  options.origin_size = Sectors(128 * 100000);
  options.dirty_tracking = tracking;
  if (change) change(options);
  Outcome<absl::StatusOr<CacheInfo>> outcome;
  engine_->Create(std::move(options), outcome.callback());
  EXPECT_FALSE(outcome.ready()) << "called back inside the call";
  Run();
  return outcome.get();
}

absl::StatusOr<OpenResult> EngineTest::Open(const std::function<void(OpenOptions&)>& change) {
  OpenOptions options;
  options.name = "c";
  options.metadata_path = "/meta";
  if (change) change(options);
  Outcome<absl::StatusOr<OpenResult>> outcome;
  engine_->Open(std::move(options), outcome.callback());
  EXPECT_FALSE(outcome.ready()) << "called back inside the call";
  Run();
  return outcome.get();
}

absl::Status EngineTest::Close(CloseOptions options) {
  Outcome<absl::Status> outcome;
  engine_->Close("c", options, outcome.callback());
  Run();
  return outcome.get();
}

absl::Status EngineTest::Shutdown() {
  Outcome<absl::Status> outcome;
  engine_->Shutdown(outcome.callback());
  Run();
  return outcome.get();
}

MutationOutcome EngineTest::Send(Mutation mutation, Conditions conditions) {
  MutationOutcome outcome;
  engine_->Apply("c", std::move(mutation), std::move(conditions), outcome.callback());
  EXPECT_FALSE(outcome.ready()) << "called back inside the call";
  return outcome;
}

absl::StatusOr<MutationResult> EngineTest::Do(Mutation mutation, Conditions conditions) {
  const MutationOutcome outcome = Send(std::move(mutation), std::move(conditions));
  Run();
  return outcome.get();
}

absl::StatusOr<MutationResult> EngineTest::Commit(bool clean) {
  MutationOutcome outcome;
  engine_->Commit("c", clean, outcome.callback());
  Run();
  return outcome.get();
}

absl::StatusOr<LookupResult> EngineTest::Lookup(std::vector<uint32_t> cblocks, bool durable) {
  Outcome<absl::StatusOr<LookupResult>> outcome;
  engine_->Lookup("c", {.cblocks = Keep(std::move(cblocks)), .oblocks = {}, .durable = durable}, outcome.callback());
  Run();
  return outcome.get();
}

absl::StatusOr<Reservation> EngineTest::Reserve(uint32_t count, Duration ttl) {
  Outcome<absl::StatusOr<Reservation>> outcome;
  engine_->Reserve("c", count, ttl, nullptr, outcome.callback());
  Run();
  return outcome.get();
}

absl::StatusOr<std::shared_ptr<CacheSnapshot>> EngineTest::Snapshot() {
  Outcome<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> outcome;
  engine_->TakeSnapshot("c", outcome.callback());
  Run();
  return outcome.get();
}

uint64_t EngineTest::Commits() {
  uint64_t commits = 0;
  for (const CacheMetrics& metrics : engine_->Metrics()) {
    for (const auto& trigger : metrics.counters->commits) commits += trigger.load();
  }
  return commits;
}

void EngineTest::RunUntil(const std::function<bool()>& done) {
  while (!done()) {
    if (!executors_.RunOne()) {
      ADD_FAILURE() << "nothing is left to run";
      return;
    }
  }
}

void EngineTest::RunIntoCommit() {
  const uint64_t before = Commits();
  RunUntil([&] { return Commits() != before; });
}

InsertMappings EngineTest::Insert(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks, bool dirty) {
  InsertMappings insert;
  if (dirty) {
    const std::shared_ptr<bool[]> flags(new bool[cblocks.size()]);
    std::fill_n(flags.get(), cblocks.size(), true);
    kept_.push_back(flags);
    insert.dirty = std::span<const bool>(flags.get(), cblocks.size());
  }
  insert.cblocks = Keep(std::move(cblocks));
  insert.oblocks = Keep(std::move(oblocks));
  return insert;
}

RemoveMappings EngineTest::Remove(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks) {
  RemoveMappings remove;
  remove.cblocks = Keep(std::move(cblocks));
  remove.oblocks = Keep(std::move(oblocks));
  return remove;
}

dmcached::MarkDirty EngineTest::Mark(std::vector<uint32_t> cblocks) { return {Keep(std::move(cblocks))}; }

dmcached::ClearDirty EngineTest::Clear(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks) {
  return {Keep(std::move(cblocks)), Keep(std::move(oblocks))};
}

dmcached::SetDiscards EngineTest::Discard(uint64_t begin, uint64_t end) {
  return {.ranges = Keep(std::vector<DblockRange>{{Dblock(begin), Dblock(end)}})};
}

dmcached::ClearDiscards EngineTest::Undiscard(uint64_t begin, uint64_t end) {
  return {.ranges = Keep(std::vector<DblockRange>{{Dblock(begin), Dblock(end)}})};
}

}  // namespace dmcached
