// An engine on devices in memory whose executors run when the test says so.
#ifndef DMCACHED_TESTS_CORE_CACHE_ENGINE_FIXTURE_H_
#define DMCACHED_TESTS_CORE_CACHE_ENGINE_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/cache/engine.h"
#include "tests/support/faulty_device.h"
#include "tests/support/manual_clock.h"
#include "tests/support/manual_executor.h"
#include "tests/support/matchers.h"

namespace dmcached {

// Devices by path, which outlive who opens them; an exclusive opener locks others out, as with files.
class DeviceBank {  // Thread-safe.
 public:
  FaultyDevice& Add(const std::string& path, uint64_t size_bytes);
  // Whoever has it open goes on with the old one.
  FaultyDevice& Replace(const std::string& path, std::span<const std::byte> image);
  FaultyDevice& at(const std::string& path);
  bool is_locked(const std::string& path) const;
  // Opens that asked for the file's space.
  int allocations() const;
  DeviceOpener opener();

 private:
  class Handle;
  absl::StatusOr<std::unique_ptr<BlockDevice>> Open(const DeviceRequest& request);

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<FaultyDevice>> devices_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> locks_ ABSL_GUARDED_BY(mutex_);
  int allocations_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What a callback brought, once it did.
template <typename T>
class Outcome {
 public:
  Callback<T> callback() {
    return [state = state_](T value) {
      EXPECT_FALSE(state->has_value()) << "called back twice";
      *state = std::move(value);
    };
  }
  bool ready() const { return state_->has_value(); }
  const T& get() const {
    static const T missing = absl::UnknownError("test: not answered");
    EXPECT_TRUE(ready());
    return ready() ? **state_ : missing;
  }

 private:
  std::shared_ptr<std::optional<T>> state_ = std::make_shared<std::optional<T>>();
};
using MutationOutcome = Outcome<absl::StatusOr<MutationResult>>;

class EngineTest : public testing::Test {
 protected:
  static constexpr uint64_t kMetadataBytes = 4 << 20;

  EngineTest() : EngineTest(EngineOptions{}) {}
  // With a seed any executor's oldest task may run next, not the oldest of all.
  explicit EngineTest(EngineOptions options, std::optional<uint64_t> seed = std::nullopt);
  ~EngineTest() override;

  Engine& engine() { return *engine_; }
  // As a kill: nothing is committed or closed; devices stay as they are.
  void Kill();
  void Start();
  // A cache of `blocks` blocks named "c" on /meta.
  absl::StatusOr<CacheInfo> Create(uint32_t blocks, DirtyTracking tracking = DirtyTracking::kExact,
                                   const std::function<void(CreateOptions&)>& change = {});
  absl::StatusOr<OpenResult> Open(const std::function<void(OpenOptions&)>& change = {});
  absl::Status Close(CloseOptions options = {});
  absl::Status Shutdown();

  // Sends a mutation and lets nothing run.
  MutationOutcome Send(Mutation mutation, Conditions conditions = {});
  // Sends it and runs until nothing is left to do.
  absl::StatusOr<MutationResult> Do(Mutation mutation, Conditions conditions = {});
  absl::StatusOr<MutationResult> Commit(bool clean = false);
  absl::StatusOr<LookupResult> Lookup(std::vector<uint32_t> cblocks, bool durable = false);
  absl::StatusOr<Reservation> Reserve(uint32_t count, Duration ttl = Duration{0});
  absl::StatusOr<std::shared_ptr<CacheSnapshot>> Snapshot();
  CacheInfo Info() { return *engine_->Get("c"); }
  uint64_t Commits();
  void Run() { executors_.RunUntilIdle(); }
  // Runs one task at a time until `done`.
  void RunUntil(const std::function<bool()>& done);
  // Until a commit is being written.
  void RunIntoCommit();

  // Mutations on columns that live as long as the fixture.
  InsertMappings Insert(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks, bool dirty = false);
  RemoveMappings Remove(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks);
  dmcached::MarkDirty Mark(std::vector<uint32_t> cblocks);
  dmcached::ClearDirty Clear(std::vector<uint32_t> cblocks, std::vector<uint64_t> oblocks);
  dmcached::SetDiscards Discard(uint64_t begin, uint64_t end);
  dmcached::ClearDiscards Undiscard(uint64_t begin, uint64_t end);

  template <typename T>
  std::span<const T> Keep(std::vector<T> column) {
    auto kept = std::make_shared<std::vector<T>>(std::move(column));
    kept_.push_back(kept);
    return *kept;
  }

  DeviceBank bank_;
  ManualClock clock_;
  ManualExecutorFactory executors_;
  EngineOptions options_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CORE_CACHE_ENGINE_FIXTURE_H_
