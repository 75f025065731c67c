// Every operation beside a commit that is being written: at each moment of the writing, when the commit succeeds and
// when it fails.  Who is answered, when, and what the medium holds are those of one table and of the plain model.
#include <algorithm>
#include <chrono>
#include <numeric>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "tests/core/cache/engine_fixture.h"
#include "tests/support/cache_model.h"
#include "tests/support/image_walker.h"

namespace dmcached {
namespace {

constexpr uint32_t kBlocks = 1000;

// Where the writing of a commit stands.
enum class Moment { kNothingWritten, kBlocksWritten, kSuperblockWritten, kFlushed };

// Lets a test do something at one moment of the next commit, in the middle of its writer.
class Gate {
 public:
  void Arm(Moment moment, std::function<void()> reached) {
    moment_ = moment;
    reached_ = std::move(reached);
    flushes_ = 0;
  }
  bool armed() const { return reached_ != nullptr; }
  void BeforeWrite() {
    if (flushes_ == 0) Pass(Moment::kNothingWritten);
  }
  void BeforeFlush() { Pass(flushes_ == 0 ? Moment::kBlocksWritten : Moment::kSuperblockWritten); }
  void AfterFlush() {
    if (++flushes_ == 2) Pass(Moment::kFlushed);
  }

 private:
  void Pass(Moment moment) {
    if (armed() && moment == moment_) std::exchange(reached_, nullptr)();
  }

  Moment moment_ = Moment::kNothingWritten;
  std::function<void()> reached_;
  int flushes_ = 0;
};

class GatedDevice : public BlockDevice {
 public:
  GatedDevice(std::unique_ptr<BlockDevice> inner, Gate& gate)
      : BlockDevice(inner->name(), nullptr), inner_(std::move(inner)), gate_(gate) {}
  uint64_t size_bytes() const override { return inner_->size_bytes(); }
  size_t alignment_bytes() const override { return inner_->alignment_bytes(); }
  bool direct_io() const override { return inner_->direct_io(); }
  bool read_only() const override { return inner_->read_only(); }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    return inner_->ReadV(offset_bytes, buffers);
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    gate_.BeforeWrite();
    return inner_->WriteV(offset_bytes, buffers);
  }
  absl::Status DoFlush() override {
    gate_.BeforeFlush();
    absl::Status flushed = inner_->Flush();
    gate_.AfterFlush();
    return flushed;
  }

 private:
  const std::unique_ptr<BlockDevice> inner_;
  Gate& gate_;
};

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

std::vector<EngineInterleavingsTest::Operation> EngineInterleavingsTest::Mutations() {
  using Test = EngineInterleavingsTest;
  using enum When;
  return {
      {"insert clean", kAtOnce, [](Test& t) { return t.Insert({50}, {70}); }, nullptr},
      {"insert dirty", kWithNext, [](Test& t) { return t.Insert({50}, {70}, true); }, nullptr},
      {"insert what is reserved", kAtOnce,
       [](Test& t) {
         InsertMappings insert = t.Insert(t.reserved_, {70, 71});
         insert.reservation = t.reservation_;
         return insert;
       },
       nullptr},
      {"insert what is removed", kAtOnce, [](Test& t) { return t.Insert({9}, {70}); }, nullptr, Reason::kCblockInUse},
      {"insert dirty what is removed", kWithNext, [](Test& t) { return t.Insert({9}, {70}, true); }, nullptr,
       Reason::kCblockInUse},
      {"remove", kWithNext, [](Test& t) { return t.Remove({5}, {50005}); }, nullptr},
      {"remove a range", kWithNext,
       [](Test&) {
         return RemoveMappings{.cblocks = {}, .oblocks = {}, .oblock_range = OblockRange{Oblock(50003), Oblock(50006)}};
       },
       nullptr},
      {"remove again", kWithNext, [](Test& t) { return t.Remove({9}, {50009}); }, nullptr, Reason::kNotMapped},
      {.name = "mark", .when = kWithNext, .mutation = [](Test& t) { return t.Mark({6}); }, .conservative = kAtOnce},
      {.name = "mark what is dirty",
       .when = kWithNext,
       .mutation =
           [](Test& t) {
             return t.Mark({7, 8});
           },
       .conservative = kAtOnce},
      {"clear", kAtOnce,
       [](Test& t) {
         return t.Clear({7, 8}, {50007, 50008});
       },
       nullptr},
      {"set discards", kAtOnce, [](Test& t) { return t.Discard(3, 5); }, nullptr},
      {"clear discards", kWithNext, [](Test& t) { return t.Undiscard(1, 2); }, nullptr},
      {"begin hints", kWithNext,
       [](Test&) {
         return BeginHints{"mq", {2, 0, 0}, 4};
       },
       nullptr},
      {"save hints", kAtOnce,
       [](Test& t) {
         return SaveHints{t.Keep<uint32_t>({1, 19}), t.Keep<uint32_t>({11, 12})};
       },
       nullptr},
      {"set stats", kAtOnce, [](Test&) { return SetStats{.stats = {.read_hits = 5}}; }, nullptr},
      {"grow", kWithNext, [](Test&) { return Resize{.cache_blocks = 3000}; }, nullptr, std::nullopt,
       /*lifecycle=*/true},
      {"shrink", kWithNext, [](Test&) { return Resize{.cache_blocks = 100}; }, nullptr, std::nullopt,
       /*lifecycle=*/true},
      {"shrink over dirty blocks", kWithNext, [](Test&) { return Resize{.cache_blocks = 8}; }, nullptr,
       Reason::kDirtyBlocks, /*lifecycle=*/true},
      {"resize the origin", kWithNext, [](Test&) { return Resize{.origin_size = Sectors(128 * 90000)}; }, nullptr,
       std::nullopt, /*lifecycle=*/true},
  };
}

std::vector<EngineInterleavingsTest::Operation> EngineInterleavingsTest::Calls() {
  using Test = EngineInterleavingsTest;
  using enum When;
  const auto lookup = [](bool durable) {
    return [durable](Test& t) {
      Outcome<absl::StatusOr<LookupResult>> found;
      t.engine().Lookup("c", {.cblocks = t.Keep<uint32_t>({5, 9, 50}), .durable = durable}, found.callback());
      return AnswerOf(found);
    };
  };
  const auto commit = [](bool clean) {
    return [clean](Test& t) {
      MutationOutcome committed;
      t.engine().Commit("c", clean, committed.callback());
      return AnswerOf(committed);
    };
  };
  const auto when_durable = [](int64_t behind_n, bool start) {
    return [behind_n, start](Test& t) {
      Outcome<absl::StatusOr<uint64_t>> durable;
      const CacheInfo info = t.Info();
      const auto transaction = static_cast<uint64_t>(static_cast<int64_t>(info.transaction) - 1 + behind_n);
      t.engine().WhenDurable("c", info.incarnation, transaction, start, durable.callback());
      return AnswerOf(durable);
    };
  };
  // An answer there is already.
  const auto now = [](const absl::Status& status) { return Answer{[] { return true; }, [status] { return status; }}; };
  const absl::Status damage = MakeError(Reason::kMetadataCorrupt, "damage, says the test");
  const auto close = [](Test& t) {
    Outcome<absl::Status> closed;
    t.engine().Close("c", {}, closed.callback());
    return AnswerOf(closed);
  };
  const auto shutdown = [](Test& t) {
    Outcome<absl::Status> ended;
    t.engine().Shutdown(ended.callback());
    return AnswerOf(ended);
  };
  return {
      {"look up", kAtOnce, nullptr, lookup(false)},
      {"look up what is durable", kWithNext, nullptr, lookup(true)},
      {"reserve", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<Reservation>> reserved;
         t.engine().Reserve("c", 3, Duration{0}, nullptr, reserved.callback());
         return AnswerOf(reserved);
       }},
      {"release", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<uint32_t>> released;
         t.engine().Release("c", t.reservation_, released.callback());
         return AnswerOf(released);
       }},
      {"snapshot", kWithNext, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> taken;
         t.engine().TakeSnapshot("c", taken.callback());
         return AnswerOf(taken);
       }},
      {"read a snapshot of S", kAtOnce, nullptr, [now](Test& t) { return now(t.ReadSnapshot()); }},
      {"repeat a request of N", kWithN, nullptr,
       [](Test& t) { return AnswerOf(t.Send(t.Remove({9}, {50009}), {.request_id = "n-0", .durable = true})); }},
      {"get the statistics", kAtOnce, nullptr, [now](Test& t) { return now(t.engine().GetStats("c").status()); }},
      {"probe", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<ProbeResult>> probed;
         t.engine().Probe("/meta", probed.callback());
         return AnswerOf(probed);
       }},
      {.name = "end a check that found damage",
       .when = kWithNext,
       .call =
           [damage, patient = when_durable(1, false)](Test& t) {
             t.FinishCheck(damage, /*clear=*/false);
             return patient(t);
           },
       .lifecycle = true,
       .needs_check = true},
      {.name = "clear the needs_check flag",
       .when = kWithNext,
       .call =
           [damage](Test& t) {
             t.FinishCheck(damage, /*clear=*/false);
             return AnswerOf(t.FinishCheck(absl::OkStatus(), /*clear=*/true));
           },
       .lifecycle = true},
      {"commit", kWithNext, nullptr, commit(false)},
      {"commit clean", kWithNext, nullptr, commit(true), std::nullopt, /*lifecycle=*/false, /*clean=*/true},
      {"close", kWithNext, nullptr, close, std::nullopt, /*lifecycle=*/true, /*clean=*/true, Reason::kIoError},
      {"delete", kWithNext, nullptr,
       [](Test& t) {
         Outcome<absl::Status> deleted;
         t.engine().Delete("c", {.discard_dirty = true}, deleted.callback());
         return AnswerOf(deleted);
       },
       std::nullopt, /*lifecycle=*/true, /*clean=*/true, Reason::kIoError},
      {"shut down", kWithNext, nullptr, shutdown, std::nullopt, /*lifecycle=*/true, /*clean=*/true, Reason::kIoError},
      {"recover", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<OpenResult>> recovered;
         t.engine().Open({.name = "c", .recover = true}, recovered.callback());
         return AnswerOf(recovered);
       },
       Reason::kCacheExists},
      {"wait for S", kAtOnce, nullptr, when_durable(-1, true)},
      {"wait for N", kWithN, nullptr, when_durable(0, true)},
      {"wait for N+1", kWithNext, nullptr, when_durable(1, true)},
      {"tick", kWithNext, nullptr,
       [patient = when_durable(1, false)](Test& t) {
         t.clock_.Advance(std::chrono::seconds(2));
         t.engine().Tick();
         return patient(t);
       }},
  };
}

TEST_P(EngineInterleavingsTest, BesideACommitThatSucceeds) {
  for (const Operation& operation : Operations()) {
    SCOPED_TRACE(operation.name);
    MakeCache();
    if (HasFatalFailure()) return;
    const CacheContents s = model_->durable();
    const When when = WhenOf(operation);
    Answer answer;
    CommitBeside([&] {
      answer = Begin(operation);
      Run();
      EXPECT_EQ(answer.ready(), when == When::kAtOnce);
      std::vector<CacheContents> states = {s};
      if (moment() >= Moment::kSuperblockWritten) states.push_back(model_->committing());
      if (moment() == Moment::kFlushed) states.erase(states.begin());
      ExpectOnMedium(states, "while N is written");
    });
    for (const MutationOutcome& outcome : of_n_) EXPECT_THAT(outcome.get(), IsOk());
    ExpectAnswer(answer, operation.refusal);
    if (when != When::kWithNext) {
      ExpectOnMedium({model_->committing()}, "once N is durable");
      ASSERT_THAT(Commit(), IsOk());
    }
    ExpectOnMedium({Next(operation)}, "once N+1 is durable");
  }
}

// What fails after the moment.
std::vector<EngineInterleavingsTest::Fault> EngineInterleavingsTest::Faults() {
  const FaultOptions write{.fail_write = meta().writes()};
  const FaultOptions flush{.fail_flush = meta().flushes()};
  const FaultOptions superblock{.fail_write_blocks = {0}};
  switch (moment()) {
    case Moment::kNothingWritten:
      return {{write, Reason::kLost}, {write, Reason::kLost, /*beside=*/true}};
    case Moment::kBlocksWritten:
      return {{flush, Reason::kLost}, {superblock, Reason::kOutcomeUnknown}, {write, Reason::kLost, /*beside=*/true}};
    case Moment::kSuperblockWritten:
      return {{flush, Reason::kOutcomeUnknown}, {write, std::nullopt, /*beside=*/true}};
    case Moment::kFlushed:  // Of N nothing can fail any more.
      return {{write, std::nullopt}, {write, std::nullopt, /*beside=*/true}};
  }
  return {};
}

TEST_P(EngineInterleavingsTest, BesideACommitThatFails) {
  const size_t faults = Faults().size();
  for (size_t i = 0; i < faults * Operations().size(); ++i) {
    const Operation operation = Operations()[i / faults];
    const bool beside = Faults()[i % faults].beside;
    if (beside && operation.lifecycle) continue;  // No resize goes beside it.
    SCOPED_TRACE(testing::Message() << operation.name << ", fault " << i % faults);
    MakeCache();
    if (HasFatalFailure()) return;
    std::vector<CacheContents> states = {model_->durable()};
    const When when = WhenOf(operation);
    Answer answer;
    std::optional<Reason> n_hears;
    CommitBeside([&] {
      answer = Begin(operation);
      Run();
      EXPECT_EQ(answer.ready(), when == When::kAtOnce);
      const Fault fault = Faults()[i % faults];
      n_hears = fault.n_hears;
      meta().SetFaults(fault.options);
      if (!beside) return;
      const MutationOutcome resize = Send(Resize{.cache_blocks = 5000});
      Run();
      ExpectAnswer(AnswerOf(resize), Reason::kIoError);
      EXPECT_EQ(answer.ready(), when != When::kWithN) << "N+1 is lost whatever becomes of N";
      EXPECT_FALSE(of_n_[0].ready());
    });
    if (n_hears != Reason::kLost) states.push_back(model_->committing());
    if (!n_hears.has_value()) states.erase(states.begin());
    for (const MutationOutcome& outcome : of_n_) ExpectAnswer(AnswerOf(outcome), n_hears);
    switch (when) {
      case When::kAtOnce:
        ExpectAnswer(answer, operation.refusal);
        break;
      case When::kWithN:
        ExpectAnswer(answer, n_hears);
        break;
      case When::kWithNext:
        ExpectAnswer(answer, operation.when_lost);
    }
    // N+1 could still be written if nobody has asked for it.
    if (!n_hears.has_value() && when != When::kWithNext) {
      EXPECT_THAT(Commit(), HasReasonIs(beside ? Reason::kCacheFailed : Reason::kLost));
    }
    ExpectOnMedium(states, "after the failure");
    meta().SetFaults({});
    ExpectRecovers(states);
  }
}

std::string NameOf(const testing::TestParamInfo<std::tuple<Moment, DirtyTracking>>& info) {
  static constexpr const char* kMoments[] = {"NothingWritten", "BlocksWritten", "SuperblockWritten", "Flushed"};
  return std::string(kMoments[static_cast<size_t>(std::get<0>(info.param))]) +
         (std::get<1>(info.param) == DirtyTracking::kExact ? "Exact" : "Conservative");
}

INSTANTIATE_TEST_SUITE_P(Moments, EngineInterleavingsTest,
                         testing::Combine(testing::Values(Moment::kNothingWritten, Moment::kBlocksWritten,
                                                          Moment::kSuperblockWritten, Moment::kFlushed),
                                          testing::Values(DirtyTracking::kExact, DirtyTracking::kConservative)),
                         NameOf);

}  // namespace
}  // namespace dmcached
