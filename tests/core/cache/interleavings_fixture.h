// An engine with a commit in the middle of being written, and every operation that may come beside it.
#ifndef DMCACHED_TESTS_CORE_CACHE_INTERLEAVINGS_FIXTURE_H_
#define DMCACHED_TESTS_CORE_CACHE_INTERLEAVINGS_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tests/core/cache/engine_fixture.h"
#include "tests/core/cache/gated_device.h"
#include "tests/support/cache_model.h"
#include "tests/support/image_walker.h"

namespace dmcached {

// Whether an operation was answered, and how.
struct Answer {
  std::function<bool()> ready;
  std::function<absl::Status()> status;
};

template <typename T>
Answer AnswerOf(const Outcome<T>& outcome) {
  return {[outcome] { return outcome.ready(); }, [outcome] { return StatusOf(outcome.get()); }};
}

// N is being written, N+1 is open and has a change.
enum class When {
  kAtOnce,    // Whatever the writer does.
  kWithN,     // Once N is durable.
  kWithNext,  // Once N+1 is durable, which it makes so.
};

class EngineInterleavingsTest : public EngineTest,
                                public testing::WithParamInterface<std::tuple<Moment, DirtyTracking>> {
 protected:
  static constexpr uint32_t kBlocks = 1000;

  struct Operation {
    const char* name;
    When when;
    std::function<Mutation(EngineInterleavingsTest&)> mutation;  // Or:
    std::function<Answer(EngineInterleavingsTest&)> call;
    std::optional<Reason> refusal = std::nullopt;
    bool lifecycle = false;
    bool clean = false;                               // It asks for CLEAN_SHUTDOWN.
    Reason when_lost = Reason::kLost;                 // What it hears when N+1 is lost.
    std::optional<When> conservative = std::nullopt;  // Where that differs.
    bool needs_check = false;                         // It sets the flag.
  };

  struct Fault {
    FaultOptions options;
    std::optional<Reason> n_hears;  // Nothing: N is durable.
    bool beside = false;            // Not N's writer meets it, but a resize that writes blocks of N+1.
  };

  static std::vector<Operation> Mutations();
  static std::vector<Operation> Calls();
  static std::vector<Operation> Operations() {
    std::vector<Operation> all = Mutations();
    for (Operation& call : Calls()) all.push_back(std::move(call));
    return all;
  }

  std::vector<Fault> Faults();
  Moment moment() const { return std::get<0>(GetParam()); }
  DirtyTracking tracking() const { return std::get<1>(GetParam()); }
  When WhenOf(const Operation& operation) const {
    return tracking() == DirtyTracking::kConservative ? operation.conservative.value_or(operation.when)
                                                      : operation.when;
  }
  FaultyDevice& meta() { return bank_.at("/meta"); }

  // A cache with a bit of everything, all of it durable and in the model.
  void MakeCache() {
    snapshot_.reset();
    Kill();
    of_n_.clear();
    bank_.Add("/meta", kMetadataBytes);
    ++options_.seed;
    const auto opener = [this](const DeviceRequest& request) -> absl::StatusOr<std::unique_ptr<BlockDevice>> {
      DMCACHED_ASSIGN_OR_RETURN(std::unique_ptr<BlockDevice> device, bank_.opener()(request));
      return std::make_unique<GatedDevice>(std::move(device), gate_);
    };
    engine_ = std::make_unique<Engine>(options_, opener, clock_, executors_, executors_.readers());
    const auto created = Create(kBlocks, tracking());
    ASSERT_THAT(created, IsOk());
    model_.emplace(FormatParams{.data_block_size = Sectors(128),
                                .cache_blocks = kBlocks,
                                .origin_size = Sectors(128 * 100000),
                                .dirty_tracking = tracking()});
    std::vector<uint32_t> cblocks;
    std::vector<uint64_t> oblocks;
    for (uint32_t i = 0; i < 20; ++i) {
      cblocks.push_back(i);
      oblocks.push_back(50000 + i);
    }
    for (const Mutation& mutation :
         std::vector<Mutation>{Insert(cblocks, oblocks), Mark({7}), Discard(0, 2), BeginHints{"smq", {1, 0, 0}, 4}}) {
      ASSERT_THAT(Do(mutation, {.durable = true}), IsOk());
      model_->Apply(mutation);
    }
    const auto reserved = Reserve(2);
    ASSERT_THAT(reserved, IsOk());
    reservation_ = reserved->id;
    reserved_ = reserved->cblocks;
    const auto snapshot = Snapshot();
    ASSERT_THAT(snapshot, IsOk());
    snapshot_ = *snapshot;
    model_->Prepare(false);
    model_->Finish();
  }

  // Sends what N holds, begins to write it, and at the moment runs `beside` with N+1 open.
  void CommitBeside(const std::function<void()>& beside) {
    for (const Mutation& mutation : std::vector<Mutation>{Remove({9}, {50009}), Mark({8})}) {
      of_n_.push_back(Send(mutation, {.request_id = absl::StrCat("n-", of_n_.size()), .durable = true}));
      model_->Apply(mutation);
    }
    model_->Prepare(false);
    gate_.Arm(moment(), [this, beside] {
      Run();
      const SaveHints change{Keep<uint32_t>({2}), Keep<uint32_t>({22})};
      const MutationOutcome applied = Send(change);
      model_->Apply(change);
      Run();
      EXPECT_THAT(applied.get(), IsOk());
      beside();
    });
    Run();
    EXPECT_FALSE(gate_.armed()) << "the commit never came there";
  }

  Answer Begin(const Operation& operation) {
    if (operation.call != nullptr) return operation.call(*this);
    const Mutation mutation = operation.mutation(*this);
    if (!operation.refusal.has_value()) model_->Apply(mutation);
    return AnswerOf(Send(mutation));
  }

  // Whether the medium holds one of `states` now, wherever the power is cut.
  void ExpectOnMedium(const std::vector<CacheContents>& states, const char* when) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const WalkedImage found = WalkImage(meta().CrashImage(seed));
      EXPECT_EQ(found.Faults(), "") << when << ", seed " << seed;
      const bool known = std::find(states.begin(), states.end(), found.contents) != states.end();
      EXPECT_TRUE(known) << when << ", seed " << seed << ": " << Difference(found.contents, states.back());
    }
  }
  // `reason`: nothing for OK.
  static void ExpectAnswer(const Answer& answer, std::optional<Reason> reason) {
    ASSERT_TRUE(answer.ready());
    EXPECT_EQ(ReasonOf(answer.status()), reason) << answer.status();
    EXPECT_EQ(answer.status().ok(), !reason.has_value()) << answer.status();
  }
  // The cache is opened again from one of `states`.
  void ExpectRecovers(const std::vector<CacheContents>& states) {
    const CacheContents medium = WalkImage(meta().Image()).contents;
    EXPECT_NE(std::find(states.begin(), states.end(), medium), states.end());
    const bool listed = engine().Get("c").ok();
    if (listed) {
      EXPECT_EQ(Info().state, CacheState::kFailed);
    } else {
      Start();
    }
    const auto opened = Open([&](OpenOptions& o) {
      o.recover = listed;
      if (listed) o.metadata_path = "";
    });
    ASSERT_THAT(opened, IsOk());
    std::vector<uint32_t> cblocks(medium.cache_blocks);
    std::iota(cblocks.begin(), cblocks.end(), 0);
    const auto found = Lookup(cblocks, /*durable=*/true);
    ASSERT_THAT(found, IsOk());
    for (const uint32_t cblock : cblocks) {
      const auto mapped = medium.mappings.find(cblock);
      ASSERT_EQ(found->mapped[cblock] != 0, mapped != medium.mappings.end()) << cblock;
      if (mapped == medium.mappings.end()) continue;
      ASSERT_EQ(found->oblocks[cblock], mapped->second.oblock);
      ASSERT_EQ(found->dirty[cblock] != 0, mapped->second.dirty || tracking() == DirtyTracking::kConservative);
    }
  }
  // What the operation makes of N+1, once N is durable.
  CacheContents Next(const Operation& operation) {
    model_->Finish();
    model_->Prepare(operation.clean);
    CacheContents next = model_->committing();
    next.needs_check = operation.needs_check;
    return next;
  }
  // The mappings of S, which it was taken of.
  absl::Status ReadSnapshot() {
    DMCACHED_ASSIGN_OR_RETURN(const MappingPage page, snapshot_->ReadMappings({}, Cblock(0), kBlocks));
    EXPECT_EQ(page.cblocks.size(), 20u);
    for (size_t i = 0; i < page.cblocks.size(); ++i) {
      EXPECT_EQ(page.oblocks[i], 50000u + page.cblocks[i]);
      EXPECT_EQ(page.dirty[i] != 0, page.cblocks[i] == 7);
    }
    return absl::OkStatus();
  }
  Outcome<absl::StatusOr<bool>> FinishCheck(const absl::Status& damage, bool clear) {
    Outcome<absl::StatusOr<bool>> finished;
    engine().FinishCheck("c",
                         {.incarnation = Info().incarnation,
                          .complete = true,
                          .errors = damage.ok() ? 0u : 1u,
                          .damage = damage,
                          .clear_needs_check = clear},
                         finished.callback());
    return finished;
  }

  Gate gate_;
  std::optional<CacheModel> model_;
  std::vector<MutationOutcome> of_n_;
  uint64_t reservation_ = 0;
  std::vector<uint32_t> reserved_;
  std::shared_ptr<CacheSnapshot> snapshot_;  // Of S.
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CORE_CACHE_INTERLEAVINGS_FIXTURE_H_
