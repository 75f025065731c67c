// Every operation beside a commit that is being written: at each moment of the writing, when the commit succeeds and
// when it fails.  Who is answered, when, and what the medium holds are those of one table and of the plain model.
#include <string>

#include "tests/core/cache/interleavings_fixture.h"

namespace dmcached {

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

namespace {

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
