// A random life of one cache behind the engine: callers of all kinds, commits, resizes, snapshots, pressure, failures,
// kills, power cuts and opens, on a device that writes down what reaches it.
#ifndef DMCACHED_TESTS_CRASH_ENGINE_HISTORY_H_
#define DMCACHED_TESTS_CRASH_ENGINE_HISTORY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/cache/engine.h"
#include "tests/crash/acknowledged_marks.h"
#include "tests/crash/commit_points.h"
#include "tests/crash/gapped_device.h"
#include "tests/crash/recorded_history.h"
#include "tests/crash/recording_device.h"
#include "tests/support/cache_model.h"
#include "tests/support/manual_clock.h"
#include "tests/support/manual_executor.h"
#include "tests/support/random.h"
#include "tests/support/random_mutation.h"

namespace dmcached {

// The same seed does the same.
RecordedHistory RecordHistory(uint64_t seed, int steps);

// One idea per source: engine_history.cc chooses what happens next and hears the device; _callers, what is asked for
// and what answers promise; _model, what each commit point must hold; _lives, opens, closes, failures, kills, power
// cuts.
class EngineHistory {
 public:
  explicit EngineHistory(uint64_t seed);
  RecordedHistory Run(int steps);

 private:
  // How a caller wants to hear that its request is durable.
  enum class Wish {
    kAnswer,       // The answer that API rules promise; a repeat of the same id tells when it was applied.
    kRepeat,       // Answered when applied; a repeat of the same id gets the promised answer.
    kWhenDurable,  // As a Mutate stream does: applied, then the transaction's durability.
  };
  struct Request {
    uint64_t number = 0;
    std::unique_ptr<RandomMutation> mutation;
    Wish wish = Wish::kAnswer;
    bool learned = false;  // Its result is known.
  };
  struct Result {
    std::shared_ptr<Request> request;
    uint64_t transaction = 0;
    uint64_t durable = 0;  // When it was answered.
  };
  using MutationAnswer = absl::StatusOr<MutationResult>;

  void Fail(const std::string& what);
  bool failed() const { return !history_.failure.empty(); }
  void Step();

  // --- The device's side ---
  void Observe(const IoEvent& event);
  void Weave();

  // --- Callers ---
  std::unique_ptr<RandomMutation> PickMutation();
  void SendOne();
  void Apply(const std::shared_ptr<Request>& request, bool when_applied);
  void Heard(const std::shared_ptr<Request>& request, bool when_applied, const MutationAnswer& answer);
  void HeardDurable(const std::shared_ptr<Request>& request, const MutationResult& result, uint64_t durable);
  void Commit();
  void LookUp();
  void TakeSnapshot();
  void InjectFault();
  void RunSome(uint64_t most);

  // --- The model follows, in the order of revisions ---
  void Learn(const std::shared_ptr<Request>& request, const MutationResult& result);
  void AdvanceModel();
  // All of this incarnation that was applied is known: contents of its points.
  void EndIncarnation();
  void CheckSnapshots();

  // --- Lives and deaths ---
  bool Create();
  // Begins with what the device holds already.
  void OpenFormatted();
  void StartEngine();
  void Kill(bool cut_power);
  void CloseAndReopen();
  void Recover();
  // `mid_open`: the process dies while it opens.
  void Reopen(bool recover, bool mid_open);
  // What the device shows is a point that may be there.  False: failed.
  bool CheckView(CacheContents& medium);
  std::optional<Sectors> ChooseOrigin(const CacheContents& medium);
  void CallOpen(OpenOptions options, bool mid_open, const PointSet& during);

  Random random_;
  FormatParams params_;
  MutationLimits limits_;
  ManualClock clock_;
  ManualExecutorFactory executors_;
  const GappedImage image_;  // That it begins with.
  RecordingDevice device_;
  EngineOptions options_;
  std::unique_ptr<Engine> engine_;
  std::vector<std::shared_ptr<CacheSnapshot>> snapshots_;
  CacheModel model_;
  bool with_faults_;
  bool resizes_often_;
  bool fault_injected_ = false;  // Since it was opened.
  bool weaving_ = false;

  RecordedHistory history_;
  CommitPoints points_;
  AcknowledgedMarks marks_;
  uint64_t requests_ = 0;

  // Of this incarnation.
  bool open_ = false;
  PointSet opening_;  // While it opens: what may be there once block 0 has been rewritten and flushed.
  DirtyTracking tracking_;
  std::optional<Sectors> origin_;  // That the engine was opened with.
  bool origin_resized_ = false;
  uint64_t incarnation_ = 0;
  uint64_t opened_at_ = 0;  // Its durable transaction then.
  uint64_t superblocks_ = 0;
  uint64_t model_transaction_ = 0;  // That the model is in.
  uint64_t model_revision_ = 0;
  std::map<uint64_t, Result> results_;  // By revision; not yet in the model.
  std::map<uint64_t, CacheContents> states_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_ENGINE_HISTORY_H_
